"""What the stack ``sandbox`` must know of this machine: the settings overlay, the engine's environment."""

from __future__ import annotations

import os
from typing import Any

import yaml

from catalog import yaml_source
from catalog.settings import StackSettings
from sandbox import account, authority
from sandbox.databases import ADMIN
from sandbox.layout import Layout, SandboxError
from sandbox.site import Site

OWNER, REPOSITORY = "menschlichkeit-oesterreich", "menschlichkeit-oesterreich-development"
SMTP_USER = "mailer@mo.localhost"
_PASSPHRASE = "sandbox"
"""The same for every sandbox, so that the committed ``encryptionsalt`` of Pulumi.sandbox.yaml fits; it guards nothing of worth."""


def overlay(site: Site) -> dict[str, Any]:
    """The settings (keys of ``catalog.settings``) that only this machine knows, with the owner-only secrets."""
    layout = site.layout
    # A list for each server: YAML would write one list used twice as an alias, which the reader refuses.
    mariadb: dict[str, Any] = {
        "engine": "mariadb",
        "host": "127.0.0.1",
        "provision": "managed",
        "reach": "host",
        "adminUser": ADMIN,
        "accountHosts": ["127.0.0.1"],
    }
    return {
        **_builds(layout),
        "host": {
            "name": "sandbox",
            "address": "127.0.0.1",
            "port": layout.port("ssh"),
            "user": site.user,
            "root": str(layout.root),
            "hostKeys": [authority.ssh_key(layout.host_key, "mo-sandbox-host")],
            "keyFile": str(layout.key),
            "socksPort": layout.port("socks"),
        },
        "edge": {
            "scheme": "https",
            "port": layout.port("https"),
            "connect": f"127.0.0.1:{layout.port('https')}",
            "caFile": str(layout.ca),
        },
        "servers": {
            "plesk": {**mariadb, "port": layout.port("plesk"), "accountHosts": ["127.0.0.1"]},
            "external-mariadb": {**mariadb, "port": layout.port("external-mariadb"), "accountHosts": ["127.0.0.1"]},
            "external-postgresql": {
                "engine": "postgresql",
                "host": "127.0.0.1",
                "port": layout.port("external-postgresql"),
                "provision": "managed",
                "reach": "direct",
                "tls": True,
                "caFile": str(layout.ca),
                "adminUser": ADMIN,
            },
        },
        "mail": {"host": "127.0.0.1", "port": layout.port("smtp")},
        "notify": {"url": f"http://127.0.0.1:{layout.port('hooks')}/webhook/deployment"},
        "github": {"owner": OWNER, "repository": REPOSITORY, "baseUrl": f"http://127.0.0.1:{layout.port('github')}/"},
        "validation": {"mailbox": str(layout.mail), "baselines": str(layout.directory / "baselines")},
        "secrets": {
            "pleskAdminPassword": site.passwords["plesk"],
            "externalMariadbAdminPassword": site.passwords["external-mariadb"],
            "externalPostgresqlAdminPassword": site.passwords["external-postgresql"],
            "githubToken": site.passwords["github-token"],
            "smtpUser": SMTP_USER,
            "smtpPassword": site.passwords["smtp-password"],
            "webhookSecret": site.passwords["webhook-secret"],
        },
    }


def _builds(layout: Layout) -> dict[str, Any]:
    """Where the builds of another stack come from and who may sign them, as that stack's file has it. Raises ``SandboxError``."""
    if layout.builds_of is None:
        return {}
    name = f"Pulumi.{layout.builds_of}.yaml"
    try:
        document = yaml_source.read(layout.clone / name, name).data
    except yaml_source.SourceError as error:
        raise SandboxError(str(error)) from None
    config = document.get("config") if isinstance(document, dict) else None
    config = config if isinstance(config, dict) else {}
    provenance = config.get("mo:provenance")
    source = {"source": config.get("mo:source", StackSettings.model_fields["source"].default)}
    return source if provenance is None else {**source, "provenance": provenance}


def write(site: Site) -> None:
    """Writes ``settings.yaml`` (600), ``env`` and the backend's folder."""
    layout = site.layout
    account.write(
        layout.settings, "# Made by python -m sandbox up; do not edit.\n" + yaml.safe_dump(overlay(site), sort_keys=False), 0o600
    )
    account.directory(layout.directory / "state", mode=0o700)
    account.write(layout.directory / "passphrase", _PASSPHRASE + "\n", 0o600)
    account.write(layout.directory / "env", environment(layout))


def environment(layout: Layout) -> str:
    """The file that ``bin/pulumi`` sources for the stack ``sandbox``; nothing in it is secret.

    Half as many steps at once as the engines' own default (4 × cores): this host's work is done by the same cores, and each step more would
    keep them from what takes longest.
    """
    backend, passphrase = f"file://{layout.directory}/state", f"{layout.directory}/passphrase"
    return (
        f"export PULUMI_BACKEND_URL='{backend}'\nexport PULUMI_CONFIG_PASSPHRASE_FILE='{passphrase}'\n"
        f'export PULUMI_PARALLEL="${{PULUMI_PARALLEL:-{max(4, 2 * (os.cpu_count() or 1))}}}"\n'
    )
