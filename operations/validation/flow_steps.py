"""The seven end-to-end flows, each as a visitor goes through it. ``flows.py`` runs them after an update, ``make gates`` before one.

What they leave is marked: the name ``NAME`` and an address below ``flows.invalid``, a domain that never receives mail.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from catalog.settings import Flow
from operations.validation.browser import STEP_TIMEOUT, Site

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NAME = "Probe des Deployments"
DOMAIN = "flows.invalid"
_LINK = re.compile(r"\S+/#/verify/[0-9a-f]{32}\b")
_MAIL_AT_MOST = 1 << 20


class FlowError(Exception):
    """A flow that did not come to its end; one sentence."""


@dataclass
class Visitor:
    """Somebody with an own browser context and an address of their own. ``mode`` ``look``: does everything but the last click."""

    page: Page
    site: Site
    mode: Literal["write", "look"]
    mailbox: Path | None
    address: str = field(default_factory=lambda: f"flow-{secrets.token_hex(6)}@{DOMAIN}")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)

    def visits(self, service: str, path: str = "/") -> Page:
        """Opens a service's page. Raises ``FlowError`` where it does not answer 200."""
        url = self.site.url(service, path)
        answer = self.page.goto(url)
        if answer is not None and answer.status != 200:
            raise FlowError(f"{url} answers {answer.status}")
        return self.page

    def fills(self, **fields: str) -> None:
        """Fills in fields by their labels (``_`` stands for a space or a hyphen)."""
        for label, value in fields.items():
            pattern = re.compile("^" + "[ -]".join(map(re.escape, label.split("_"))) + r"\b")
            self.page.get_by_label(pattern).first.fill(value)

    def ends(self, button: str) -> bool:
        """Clicks the last button; in mode ``look`` only sees that it could be clicked, and says that this is all."""
        there = self.page.get_by_role("button", name=button, exact=True)
        if self.mode == "look":
            there.click(trial=True)
            return False
        there.click()
        return True

    def sees(self, found: Locator) -> None:
        """Waits for something to be there to see."""
        from playwright.sync_api import expect

        expect(found.first).to_be_visible(timeout=STEP_TIMEOUT * 1000)

    def mailed_link(self) -> str:
        """The fragment of the link in the mail to this visitor. Raises ``FlowError`` where none comes."""
        if self.mailbox is None:
            raise FlowError("whether the mail comes cannot be seen: name the folder where it lands (mo:validation.mailbox)")
        begin = self.site.url("frontend", "/#/verify/")
        deadline = time.monotonic() + STEP_TIMEOUT
        while True:
            for text in mails_to(self.mailbox, self.address):
                for link in _LINK.findall(text):
                    if link.startswith(begin):
                        return str(link[len(begin) - len("/#/verify/") :])
            if time.monotonic() >= deadline:
                raise FlowError(f"no mail with a link to {begin}… came within {STEP_TIMEOUT:.0f} s")
            time.sleep(0.1)


def mails_to(folder: Path, address: str) -> list[str]:
    """The texts of the mails in ``folder`` (``*.eml``) to ``address``. Raises ``FlowError`` where the folder cannot be read."""
    if not folder.is_dir():
        raise FlowError(f"there is no mailbox {folder} (mo:validation.mailbox)")
    found = []
    for path in folder.glob("*.eml"):
        try:
            with path.open("rb") as stream:
                raw = stream.read(_MAIL_AT_MOST)
        except OSError:
            continue  # taken away meanwhile
        if address.encode() not in raw:
            continue
        message = message_from_bytes(raw, policy=policy.default)
        body = message.get_body(("plain", "html")) if isinstance(message, EmailMessage) else None
        if address in str(message["To"]) and body is not None:
            found.append(str(body.get_content()))
    return found


def _joins(visitor: Visitor) -> bool:
    page = visitor.visits("frontend", "/#/register")
    visitor.fills(Name=NAME, E_Mail_Adresse=visitor.address, Passwort=visitor.password)
    if not visitor.ends("Registrieren"):
        return False
    visitor.sees(page.get_by_role("status").get_by_text("Link zum Bestätigen geschickt"))
    visitor.visits("frontend", visitor.mailed_link())
    visitor.sees(page.get_by_role("status").get_by_text("Ihre Adresse ist bestätigt."))
    return True


def registration(visitor: Visitor) -> None:
    """Registration: the form, the mail, its link."""
    _joins(visitor)


def login(visitor: Visitor) -> None:
    """Login of a member who has just joined, and a change of the profile that is still there afterwards."""
    joined = _joins(visitor)
    page = visitor.visits("frontend", "/#/login")
    visitor.fills(E_Mail_Adresse=visitor.address, Passwort=visitor.password)
    if not visitor.ends("Anmelden") or not joined:
        return
    visitor.sees(page.get_by_text(visitor.address))
    visitor.fills(Über_mich="Gespeichert von der Probe.")
    page.get_by_role("button", name="Speichern").click()
    visitor.sees(page.get_by_role("status").get_by_text("Ihr Profil ist gespeichert."))
    page.reload()
    visitor.sees(page.get_by_text(visitor.address))
    if page.get_by_label("Über mich").input_value() != "Gespeichert von der Probe.":
        raise FlowError("the changed profile is not what was saved")
    page.get_by_role("button", name="Abmelden").click()
    visitor.sees(page.get_by_role("link", name="Anmelden"))


def donation(visitor: Visitor) -> None:
    """A donation in CiviCRM is thanked for."""
    page = visitor.visits("crm")
    visitor.fills(Name=NAME, E_Mail_Adresse=visitor.address, Betrag_in_Euro="25")
    if visitor.ends("Spenden"):
        visitor.sees(page.get_by_text("Danke für Ihre Spende!"))


def achievement(visitor: Visitor) -> None:
    """A game is played to its end and its points are counted."""
    page = visitor.visits("games")
    visitor.fills(Spielname=NAME[:20])
    groups = page.locator("fieldset")
    visitor.sees(groups)
    for group in groups.all():
        group.get_by_role("radio").first.check()
    if visitor.ends("Auswerten"):
        visitor.sees(page.get_by_role("status").get_by_text(re.compile(r"\d+ Punkte")))


def ticket(visitor: Visitor) -> None:
    """A support ticket gets a number."""
    page = visitor.visits("support")
    visitor.fills(Name=NAME, E_Mail_Adresse=visitor.address, Betreff="Probe", Nachricht="Eine Anfrage der Probe des Deployments.")
    if visitor.ends("Anfrage senden"):
        visitor.sees(page.get_by_text(re.compile(r"Ihre Anfrage hat die Nummer T")))


def newsletter(visitor: Visitor) -> None:
    """A newsletter subscription asks for its confirmation."""
    page = visitor.visits("newsletter")
    visitor.fills(E_Mail_Adresse=visitor.address)
    if visitor.ends("Abonnieren"):
        visitor.sees(page.get_by_text(re.compile("best[äa]tig", re.IGNORECASE)))


def consent(visitor: Visitor) -> None:
    """A choice of consent is recorded and receipted."""
    page = visitor.visits("consent")
    page.get_by_role("checkbox").first.check()
    if visitor.ends("Auswahl speichern"):
        visitor.sees(page.get_by_text(re.compile("Beleg")))


@dataclass(frozen=True)
class Step:
    """One flow. ``services``: what must be deployed for it."""

    title: str
    services: tuple[str, ...]
    act: Callable[[Visitor], None]


STEPS: Mapping[Flow, Step] = MappingProxyType(
    {
        "registration": Step("registration and e-mail verification", ("frontend", "api"), registration),
        "login-and-profile": Step("login and profile", ("frontend", "api"), login),
        "donation": Step("CiviCRM donation", ("crm",), donation),
        "game-achievement": Step("game achievement", ("games",), achievement),
        "support-ticket": Step("support ticket", ("support",), ticket),
        "newsletter-subscription": Step("newsletter subscription", ("newsletter",), newsletter),
        "consent": Step("GDPR consent", ("consent",), consent),
    }
)
"""Every flow of the specification, in its order."""
