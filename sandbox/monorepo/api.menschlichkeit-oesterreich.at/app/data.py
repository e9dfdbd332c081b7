"""The tables, and sessions on the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from sqlalchemy import Engine, LargeBinary, String, create_engine, func
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from app import settings


class Base(DeclarativeBase):
    """All tables."""


class Member(Base):
    """A person with an account. ``verified_at`` is empty until the address is confirmed."""

    __tablename__ = "members"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password: Mapped[str] = mapped_column(String(200))
    verification: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None)
    verified_at: Mapped[datetime | None] = mapped_column(default=None)
    bio: Mapped[str] = mapped_column(String(500), default="", server_default="")
    joined_at: Mapped[datetime] = mapped_column(server_default=func.now())


@cache
def engine() -> Engine:
    """The database, connected when first asked; a connection that the server closed is replaced."""
    return create_engine(settings.database_url(), pool_pre_ping=True, pool_size=5, max_overflow=5)


def session() -> Iterator[Session]:
    """A session for one request."""
    with Session(engine()) as opened:
        yield opened
