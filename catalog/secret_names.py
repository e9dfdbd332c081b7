"""Every secret of a stack's GitHub environment by name: whose it is, and for those of others how it is set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from catalog.models import Catalog, Database, GeneratedSecret, OwnerSecret, PlainSetting, SecretDeclaration, Service

HOST = ("SSH_HOST", "SSH_PORT", "SSH_USER")
SSH_KEY = "SSH_PRIVATE_KEY"
SERVERS = {"external-mariadb": ("MYSQL_HOST", "MYSQL_PORT"), "external-postgresql": ("PG_HOST", "PG_PORT")}
"""Database server → what a workflow needs to reach it."""
MAIL = ("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASS", "SUPPORT_EMAIL", "CIVIMAIL_FROM", "CIVIMAIL_BOUNCE")
GENERATED = {"JWT_SECRET": 64, "SESSION_SECRET": 64, "API_KEY_KEYCLOAK": 32, "OAUTH_CLIENT_SECRET": 32}
"""Name → bytes of entropy."""
SHARED = (*MAIL, *GENERATED)
"""What every stack's workflows get, besides host, key and databases."""
DATABASE = ("DB_ENGINE", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS", "DB_SSL_CA")
"""What a service with a database has besides."""
PUBLIC_ENDINGS = ("_HOST", "_PORT", "_USER", "_EMAIL", "_FROM", "_BOUNCE")
"""How the names of values end that are no secrets, and are not masked (components/remote/client/masking.py)."""


def generated(catalog: Catalog) -> dict[str, int]:
    """Every generated secret of the catalogue and its bytes of entropy."""
    own = {name: one.bytes for name, one in catalog.secrets.items() if isinstance(one, GeneratedSecret)}
    return {**GENERATED, **own}


def settings_key(name: str, declared: SecretDeclaration) -> str:
    """The setting below ``mo:`` that holds the value, where the owner gives it."""
    return f"values.{name}" if isinstance(declared, PlainSetting) else f"application.{name}"


def missing(
    catalog: Catalog, services: Mapping[str, Service], owners: Collection[str], plain: Collection[str]
) -> dict[str, list[str]]:
    """Of the declared values that ``services`` read, those that nobody has given, with who reads them. ``owners``, ``plain``: the names of
    those that the stack's settings hold."""
    found: dict[str, list[str]] = {}
    for key, service in services.items():
        for name in service.secrets:
            one = catalog.secrets.get(name)
            without_default = isinstance(one, PlainSetting) and one.default is None and name not in plain
            if without_default or (isinstance(one, OwnerSecret) and name not in owners):
                found.setdefault(name, []).append(key)
    return found


def way_to_set(stack: str, name: str, declared: SecretDeclaration) -> str:
    """The command that gives a value which the stack lacks, and what it is."""
    path = f"--path 'mo:{settings_key(name, declared)}'"
    if isinstance(declared, PlainSetting):
        return f"bin/pulumi config set --stack {stack} {path} VALUE"
    purpose = f"   ({declared.purpose})" if isinstance(declared, OwnerSecret) else ""
    return f"bin/pulumi config set --stack {stack} --secret {path}{purpose}"


ENVIRONMENTS = ("production", "staging")
"""Those in which workflows run."""


@dataclass(frozen=True)
class Theirs:
    """A secret that this program cannot know or must not write: only its presence is checked. ``purpose``: what a job needs it for."""

    name: str
    purpose: str


THEIRS = (
    Theirs("PULUMI_CONFIG_PASSPHRASE", "the passphrase of the stack's secrets"),
    Theirs("MO_GITHUB_TOKEN", "a token that may administer the environment and its secrets"),
    Theirs("MO_SIGNING_KEY", "the key that signs artefacts (mo:provenance.signers holds its public half)"),
)
DRIFT = "production-drift"
"""The environment of the nightly look at production: it has no reviewers, and is made by the owner."""
DRIFT_NEEDS = (SSH_KEY, "PULUMI_CONFIG_PASSPHRASE")
"""What its job needs, besides the backend's key."""
BY_BACKEND = {
    "s3": (
        Theirs("AWS_ACCESS_KEY_ID", "the key of the bucket that holds the state"),
        Theirs("AWS_SECRET_ACCESS_KEY", "the secret half of that key"),
    ),
    "https": (Theirs("PULUMI_ACCESS_TOKEN", "Pulumi Cloud, which holds the state"),),
}
"""The scheme of the backend's address → what its jobs need besides."""
BY_GATE = {"codacy": Theirs("CODACY_API_TOKEN", "a token that may read the repository's grade, for the gate codacy")}
"""A gate → the secret without which it stays red."""


def by_need(backend: str, gates: Collection[str]) -> tuple[Theirs, ...]:
    """What jobs need because of this backend (the scheme of its address) and these gates."""
    return (*BY_BACKEND.get(backend, ()), *(secret for gate, secret in BY_GATE.items() if gate in gates))


def database_secrets(database: Database) -> tuple[str, str]:
    """The names of a database's user and password."""
    prefix = database.name.upper()
    return f"{prefix}_DB_USER", f"{prefix}_DB_PASS"


def panel_password(stack: str, service: str, database: Database) -> str:
    """Why the password of a database that only the panel administers cannot be rotated here, and how it is; without a full stop."""
    return (
        f"The password of {service}'s database is the hoster's panel's to change (mo:servers.{database.server} is existing and has no "
        f"adminUser): change it there, then bin/pulumi config set --stack {stack} --secret "
        f"--path 'mo:existing.{database_secrets(database)[1]}', then bin/mo deploy --stack {stack}"
    )


def ours(services: Mapping[str, Service]) -> list[str]:
    """What this program generates or knows, and writes where it changed, for these services. The SSH key is among them where the program
    has its text. Where the database servers are is told in every environment, whether or not one of these services uses them."""
    names = [*HOST, SSH_KEY, *SHARED]
    names += [name for both in SERVERS.values() for name in both]
    names += [name for s in services.values() if s.database for name in database_secrets(s.database)]
    return sorted(names)


def of_stack(services: Mapping[str, Service]) -> list[str]:
    """All that a job in the stack's environment must see: ``ours`` and ``THEIRS``."""
    return sorted([*ours(services), *(secret.name for secret in THEIRS)])


def command(secret: Theirs, repository: str, environment: str) -> str:
    """What sets a secret of others; ``gh`` asks for the value, so that it stands in no history."""
    return f"gh secret set {secret.name} --repo {repository} --env {environment}"
