"""The application: health, registration with a confirmed e-mail address, login, profile."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from app import __version__, mail, security, settings
from app.data import Member, session
from app.page import page

log = logging.getLogger("uvicorn.error")
app = FastAPI(title="Menschlichkeit Österreich API", version=__version__)
# No cookie takes part (the token goes in a header), so that another site's page can do nothing in a visitor's name.
app.add_middleware(
    CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST", "PATCH"], allow_headers=["Authorization", "Content-Type"]
)

Database = Annotated[Session, Depends(session)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
# The cost of a login must not tell whether the address is known.
_NOBODY = security.hash_password(secrets.token_hex(16))


class Registration(BaseModel):
    """A wish to join."""

    email: Email
    name: Name
    password: str = Field(min_length=12, max_length=200)


class Login(BaseModel):
    """An address with its password."""

    email: Email
    password: str = Field(max_length=200)


class Verification(BaseModel):
    """The token out of the mail."""

    token: str = Field(pattern=r"^[0-9a-f]{32}$")


class Profile(BaseModel):
    """What a member may change of themselves."""

    name: Name | None = None
    bio: Annotated[str, StringConstraints(max_length=500)] | None = None


@app.exception_handler(SQLAlchemyError)
def database_down(request: Request, error: SQLAlchemyError) -> JSONResponse:
    """The database does not answer, or not as it should; the log has the rest."""
    log.error("%s: %s", request.url.path, type(error).__name__)
    return JSONResponse({"status": "unavailable", "detail": "Die Datenbank ist gerade nicht verfügbar."}, 503)


@app.get("/", response_class=HTMLResponse, include_in_schema=False)
def home(database: Database) -> str:
    """The page for people."""
    told = health(database)
    release = {
        f'release="{name}"': (title, told[name])
        for name, title in (("service", "Dienst"), ("release", "Release"), ("commit", "Commit"))
    }
    return page({**release, "database": ("Mitglieder", str(told["database"]["members"]))})


@app.get("/health")
def health(database: Database) -> dict[str, Any]:
    """Whether the API works, which release it is, and a value from its database."""
    members = database.scalar(select(func.count()).select_from(Member))
    schema = database.scalar(text("SELECT version_num FROM alembic_version"))
    known = settings.release()
    return {
        "status": "ok",
        "service": known.get("service"),
        "release": known.get("release"),
        "commit": known.get("commit"),
        "version": __version__,
        "database": {"engine": database.get_bind().dialect.name, "schema": schema, "members": members},
    }


@app.post("/register", status_code=202)
def register(wish: Registration, request: Request, database: Database) -> dict[str, str]:
    """Stores an unconfirmed account and mails a link. Says the same for an address that is known already."""
    token = secrets.token_hex(16)
    member = Member(email=wish.email, name=wish.name, password=security.hash_password(wish.password), verification=_digest(token))
    try:
        database.add(member)
        database.flush()
        host = request.headers.get("host", "api.localhost")
        link = f"https://{host.replace('api.', 'frontend.', 1)}/#/verify/{token}"
        words = f"Guten Tag {wish.name},\n\nbitte bestätigen Sie Ihre Anmeldung:\n\n{link}\n"
        mail.send(f"no-reply@{host.partition(':')[0]}", wish.email, "Anmeldung bestätigen", words)
        database.commit()
    except IntegrityError:
        database.rollback()
    except (OSError, RuntimeError) as error:
        database.rollback()
        log.error("mail: %s", type(error).__name__)
        raise HTTPException(
            503, "Der Bestätigungslink konnte nicht verschickt werden. Bitte versuchen Sie es später wieder."
        ) from None
    return {"detail": "Wir haben Ihnen einen Link zum Bestätigen geschickt."}


@app.post("/verify")
def verify(verification: Verification, database: Database) -> dict[str, str]:
    """Confirms the address that the token was mailed to; a token works once."""
    member = database.scalar(select(Member).where(Member.verification == _digest(verification.token)))
    if member is None:
        raise HTTPException(404, "Dieser Link gilt nicht mehr.")
    member.verified_at, member.verification = datetime.now(UTC).replace(tzinfo=None), None
    database.commit()
    return {"detail": "Ihre Adresse ist bestätigt."}


@app.post("/login")
def login(given: Login, database: Database) -> dict[str, str]:
    """A token for an hour."""
    member = database.scalar(select(Member).where(Member.email == given.email))
    right = security.check_password(given.password, member.password if member else _NOBODY)
    if not member or not right:
        raise HTTPException(401, "Adresse oder Passwort ist falsch.")
    if member.verified_at is None:
        raise HTTPException(403, "Bitte bestätigen Sie zuerst Ihre Adresse.")
    return {"token": security.issue(str(member.id), settings.value("JWT_SECRET"))}


def current(database: Database, authorization: Annotated[str, Header()] = "") -> Member:
    """The member whose token the request bears."""
    kind, _, token = authorization.partition(" ")
    subject = security.bearer(token, settings.value("JWT_SECRET")) if kind == "Bearer" else None
    member = database.get(Member, int(subject)) if subject else None
    if member is None:
        raise HTTPException(401, "Bitte melden Sie sich an.", {"WWW-Authenticate": "Bearer"})
    return member


Current = Annotated[Member, Depends(current)]


@app.get("/profile")
def profile(member: Current) -> dict[str, str]:
    """The member's own data."""
    return {"email": member.email, "name": member.name, "bio": member.bio}


@app.patch("/profile")
def change_profile(changes: Profile, member: Current, database: Database) -> dict[str, str]:
    """Changes the member's own data."""
    for field, changed in changes.model_dump(exclude_none=True).items():
        setattr(member, field, changed)
    database.commit()
    return profile(member)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
