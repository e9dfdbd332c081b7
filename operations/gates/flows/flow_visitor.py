"""What a visitor does without an account."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import expect

from operations.gates.flows.conftest import Visit


def address() -> str:
    """A made address of this run, in a domain that never receives mail."""
    return f"flow-{uuid.uuid4().hex[:10]}@example.invalid"


def test_a_support_ticket_gets_a_number(visit: Visit) -> None:
    page = visit("support")
    page.get_by_label("Name", exact=True).fill("Flow")
    page.get_by_label("E-Mail-Adresse").fill(address())
    page.get_by_label("Betreff").fill("Probe")
    page.get_by_label("Nachricht").fill("Eine Anfrage der Probe vor dem Deployment.")
    page.get_by_role("button", name="Anfrage senden").click()
    expect(page.get_by_text(re.compile(r"Ihre Anfrage hat die Nummer T"))).to_be_visible()


def test_a_donation_is_thanked_for(visit: Visit) -> None:
    page = visit("crm")
    page.get_by_label("Name", exact=True).fill("Flow")
    page.get_by_label("E-Mail-Adresse").fill(address())
    page.get_by_label("Betrag in Euro").fill("25")
    page.get_by_role("button", name="Spenden").click()
    expect(page.get_by_text("Danke für Ihre Spende!")).to_be_visible()


def test_a_consent_is_recorded(visit: Visit) -> None:
    page = visit("consent")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Auswahl speichern").click()
    expect(page.get_by_text(re.compile("Beleg"))).to_be_visible()


def test_a_game_is_counted(visit: Visit) -> None:
    page = visit("games")
    page.get_by_label("Spielname").fill("Flow")
    for group in page.get_by_role("group").all() or page.locator("fieldset").all():
        group.get_by_role("radio").first.check()
    page.get_by_role("button", name="Auswerten").click()
    expect(page.get_by_role("status").get_by_text(re.compile(r"\d+ Punkte"))).to_be_visible()


def test_a_newsletter_subscription_asks_for_confirmation(visit: Visit) -> None:
    page = visit("newsletter")
    page.get_by_label("E-Mail-Adresse").fill(address())
    page.get_by_role("button", name="Abonnieren").click()
    expect(page.get_by_text(re.compile("best[äa]tig", re.IGNORECASE)).first).to_be_visible()
