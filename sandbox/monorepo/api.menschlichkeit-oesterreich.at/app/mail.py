"""Mails by the settings' SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from app import settings


def send(sender: str, to: str, subject: str, text: str) -> None:
    """Sends one plain-text mail. Raises ``OSError`` where the server does not take it (``smtplib.SMTPException`` is one)."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    message.set_content(text)
    with smtplib.SMTP(settings.value("SMTP_HOST"), int(settings.value("SMTP_PORT", "587")), timeout=10) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        if server.has_extn("auth") and settings.values().get("SMTP_USER"):
            server.login(settings.value("SMTP_USER"), settings.value("SMTP_PASS"))
        server.send_message(message)
