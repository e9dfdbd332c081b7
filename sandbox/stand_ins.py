"""The parts that stand for others' services: GitHub, the receiver of webhooks, the mail server. They run as whoever starts the sandbox."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from sandbox import account, authority
from sandbox.ports import answers
from sandbox.processes import Daemon
from sandbox.settings import OWNER, REPOSITORY, SMTP_USER
from sandbox.site import Part, Site


def github(site: Site) -> Part:
    """GitHub's REST API, as far as this project uses it."""
    layout = site.layout
    return _part(
        site,
        "github",
        "sandbox.github.server",
        {
            "port": layout.port("github"),
            "folder": str(layout.github),
            "owner": OWNER,
            "repository": REPOSITORY,
            "token_file": str(layout.directory / "secrets.json"),
        },
    )


def hooks(site: Site) -> Part:
    """The receiver of webhooks, in n8n's and Slack's place."""
    layout = site.layout
    return _part(site, "hooks", "sandbox.webhooks", {"port": layout.port("hooks"), "folder": str(layout.hooks)})


def mail(site: Site) -> Part:
    """The SMTP server of the sites."""
    layout = site.layout
    certificate, key = layout.etc / "mail.pem", layout.etc / "mail.key"
    authority.issue(layout.ca, layout.etc / "ca.key", certificate, key, ["127.0.0.1", "localhost"])
    return _part(
        site,
        "smtp",
        "sandbox.mail",
        {
            "port": layout.port("smtp"),
            "folder": str(layout.mail),
            "certificate": str(certificate),
            "key": str(key),
            "user": SMTP_USER,
            "password_file": str(layout.directory / "secrets.json"),
        },
    )


def _part(site: Site, label: str, module: str, configuration: dict[str, Any]) -> Part:
    layout = site.layout
    path = layout.etc / f"{label}.json"
    changed = account.write(path, json.dumps(configuration, indent=1))
    name = "mail" if label == "smtp" else label
    # The checkout is the working directory, so that -m finds the package.
    inherited = {"PYTHONPATH": os.environ["PYTHONPATH"]} if os.environ.get("PYTHONPATH") else {}
    daemon = Daemon(name, (sys.executable, "-m", module, str(path)), cwd=layout.clone, environment=inherited)
    return Part(daemon, lambda: answers(layout.port(label)), changed)
