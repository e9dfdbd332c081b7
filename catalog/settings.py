"""The stack's settings: everything below ``mo:`` in ``Pulumi.<stack>.yaml``, typed. Stacks differ by this data only.

``mo:settingsFile`` may name a YAML file of more settings (mode 600, outside version control) laid over the stack's own: what only one
machine knows. The sandbox uses it; ``catalog.settings_file.load`` merges it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.alias_generators import to_camel

from catalog.activation import Activation
from catalog.manifest import ReleaseId
from catalog.models import EnvName, ServiceKey

DomainName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$")]


class Settings(BaseModel):
    """Base: camelCase keys, unknown keys refused, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class HostSettings(Settings):
    """The SSH account. ``host_keys``: pinned public keys (``ssh-ed25519 AAAA…``); ``key_file``: private key, ``None`` for the agent."""

    name: str
    address: str
    port: int = Field(default=22, ge=1, le=65535)
    user: str
    root: str = Field(pattern=r"^/")
    host_keys: tuple[str, ...] = Field(min_length=1)
    key_file: str | None = None
    strategy: Literal["symlink", "in-place"] = "symlink"
    socks_port: int | None = Field(default=None, ge=1, le=65535)

    @property
    def account(self) -> str:
        """Which account this is, as reports on it name it: ``user@address/root``, by whatever port it is reached."""
        return f"{self.user}@{self.address}{self.root}"


class EdgeSettings(Settings):
    """How public URLs are asked: ``https://<domain>[:port]``; TCP to ``connect`` (``address:port``) where given; ``ca_file`` to trust."""

    scheme: Literal["https", "http"] = "https"
    port: int = 443
    connect: str | None = None
    ca_file: str | None = None


class ServerSettings(Settings):
    """A database server. ``provision``: ``managed`` (we make databases and accounts) or ``existing`` (the panel makes them). An existing
    one needs no administrator (``admin_user``): without one its accounts are the panel's too, and their passwords the owner's
    (``mo:existing``). ``tls``: operators, services and the host's tools verify who it is, by the authorities of ``ca_file``, else by those
    that each machine trusts."""

    engine: Literal["mariadb", "postgresql"]
    host: str
    port: int
    provision: Literal["managed", "existing"]
    reach: Literal["direct", "host"]
    tls: bool = False
    ca_file: str | None = None
    admin_user: str | None = None
    account_hosts: tuple[str, ...] = ("localhost",)
    """From where service accounts may log in (MariaDB)."""

    @property
    def administered(self) -> bool:
        """Whether accounts are made and their passwords changed by this program."""
        return self.provision == "managed" or self.admin_user is not None


class MailSettings(Settings):
    """The SMTP server of the services and the addresses they write from; ``{domain}`` stands for the stack's domain."""

    host: str = "smtp.kasserver.com"
    port: int = Field(default=587, ge=1, le=65535)
    support: str = "support@{domain}"
    civimail_from: str = "newsletter@newsletter.{domain}"
    civimail_bounce: str = "bounce@{domain}"


class GitHubSettings(Settings):
    """Repository and environment. ``base_url`` only for GitHub Enterprise or the sandbox."""

    owner: str
    repository: str
    environment: str
    reviewers: tuple[int, ...] = ()
    base_url: str | None = None
    write_delay_ms: int = Field(default=1000, ge=1)
    """Milliseconds between two writes; GitHub asks for about a second."""


class GateSettings(Settings):
    """Which gates must pass, where their reports are, how old they may be (hours), whether uncommitted changes count."""

    required: tuple[str, ...]
    reports: str = "quality-reports"
    max_age_hours: int = Field(default=24, ge=1)
    allow_uncommitted: bool = False
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """``owner/name`` on GitHub of the repository that holds the services' sources: whose alerts and Codacy grade are judged. ``None``: that
    of ``github``, which must be the origin of the checkout then."""


class ProvenanceSettings(Settings):
    """Whose artefacts are deployed. ``signers``: trusted Ed25519 public keys, 64 hex digits each; every stack but the sandbox must declare
    one, the sandbox without one trusts this checkout's own key (``.mo/signing.pem``, made by ``bin/mo build``). ``builder``: the id that
    attestations must name."""

    signers: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    builder: str = "https://menschlichkeit-oesterreich.at/mo-deploy/local"


class NotifySettings(Settings):
    """Who is told of each deployment. ``url``: the webhook of n8n's deployment workflow (``https://n8n.<domain>/webhook/deployment``);
    ``None``: nobody. What is sent is signed with the secret ``mo:webhookSecret`` (docs/monitoring.md)."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$", max_length=500)] | None = None


class WindowSettings(Settings):
    """When to deploy: ``saturday`` 08:00–14:00 UTC; outside it a warning, or a refusal, which a rollback and a rotation never meet."""

    outside: Literal["warn", "refuse", "allow"] = "warn"


Flow = Literal[
    "registration", "login-and-profile", "donation", "game-achievement", "support-ticket", "newsletter-subscription", "consent"
]
"""The end-to-end flows of the specification."""
FLOWS: tuple[Flow, ...] = get_args(Flow)


class ValidationSettings(Settings):
    """What is asked after an update, besides the smoke tests, which always are. Folders are relative to the project."""

    parts: tuple[Literal["end-to-end", "visual", "lighthouse"], ...] = ("end-to-end", "visual", "lighthouse")
    """What is asked at all."""
    flows: tuple[Flow, ...] = FLOWS
    """The flows that are tried, where their services are deployed."""
    flow_mode: Literal["write", "look"] = "look"
    """``write``: to the end, leaving marked test data; ``look``: up to the last click, which leaves nothing."""
    max_failed_percent: float = Field(default=10, ge=0, lt=100)
    """A larger share of failed flows takes the update back."""
    mailbox: str | None = None
    """Where mail to ``*@flows.invalid`` lands as ``*.eml`` files (the sandbox's sink); without it no registration can be verified."""
    baselines: str = "baselines"
    """The frontend's pictures to compare with, one folder a stack."""
    max_changed_percent: float = Field(default=0.1, ge=0, lt=100)
    """How many of a picture's pixels may differ."""
    lighthouse: tuple[ServiceKey, ...] | None = None
    """The services whose pages Lighthouse looks at; ``None``: every one."""


class TodoSettings(Settings):
    """The item that a good deploy ticks: ``- [ ] <item>`` in ``file`` of the monorepo, the item's text exactly. ``{stack}`` and ``{date}``
    (of the deployment, UTC, ``2026-11-28``) in it are filled in, so that each deployment has an item of its own."""

    file: str = "TODO.md"
    item: str = Field(min_length=1)

    def of(self, stack: str, date: str) -> TodoSettings:
        """The same for one deployment."""
        return self.model_copy(update={"item": self.item.replace("{stack}", stack).replace("{date}", date)})


class RollbackSettings(Settings):
    """Why this update goes back: ``bin/mo rollback`` writes it into the temporary configuration; kept in the history, shown to the gate."""

    update: int
    reason: str
    author: str
    time: str
    activations: dict[ServiceKey, Activation] = {}
    """Rules of releases whose manifests have none, because an earlier version of this tool built them: as the state or the catalogue's own
    history had them."""


class SnapshotSettings(Settings):
    """Which snapshots of a service's database stay: the newest ``keep``, as far as they take at most ``megabytes`` together; the newest one
    and pinned ones always. No input of any resource: a change holds from the next prune on and re-runs nothing."""

    keep: int = Field(default=10, ge=1, le=1000)
    megabytes: int = Field(default=2000, ge=1)


class StackSettings(Settings):
    """All of a stack's settings but its secrets."""

    domain: DomainName
    host: HostSettings
    edge: EdgeSettings = EdgeSettings()
    servers: dict[str, ServerSettings]
    github: GitHubSettings
    mail: MailSettings = MailSettings()
    gates: GateSettings
    provenance: ProvenanceSettings = ProvenanceSettings()
    window: WindowSettings = WindowSettings()
    notify: NotifySettings = NotifySettings()
    validation: ValidationSettings = ValidationSettings()
    todo: TodoSettings | None = None
    services: tuple[str, ...] = ()
    """Services besides those that the catalogue gives this stack; one that another stack deploys needs a place and a server of its own
    (``catalog.neighbours``)."""
    source: str = "../monorepo"
    """The monorepo's checkout, relative to the project."""
    keep_releases: int = Field(default=5, ge=2, le=50)
    snapshots: SnapshotSettings = SnapshotSettings()
    on_remove: Literal["retain", "purge"] = "retain"
    allow_file_backend: bool = False
    releases: dict[ServiceKey, ReleaseId] | None = None
    """The release set: what each service is to run. ``None``: what ``dist/`` holds. A service that it does not name stays as it is."""
    allow_older: bool = False
    """Whether an artefact that was built before the live one may replace it."""
    adopt: tuple[ServiceKey, ...] = ()
    """Services whose content, found at the first deploy, may be hidden by the release."""
    rollback: RollbackSettings | None = None
    rotate: dict[str, Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$")]] = {}
    """What this update rotates: a service (its database's password) or the name of a generated secret → the rotation's id. Written by
    ``bin/mo rotate`` into the temporary configuration; an id that is in the state already changes nothing."""
    values: dict[EnvName, Annotated[str, StringConstraints(min_length=1, max_length=10_000)]] = {}
    """Plain settings that services read, by their names in the catalogue's ``secrets``."""
    revoke: tuple[ServiceKey, ...] = ()
    """Services with somebody else's daemon whose former passwords this update revokes."""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


class OwnerSecrets(Settings):
    """What only the owner has. Never shown: ``repr`` masks every value."""

    plesk_admin_password: SecretStr | None = None
    external_mariadb_admin_password: SecretStr | None = None
    external_postgresql_admin_password: SecretStr | None = None
    github_token: SecretStr | None = None
    ssh_private_key: SecretStr | None = None
    """The text of the key; ``None``: the file ``host.keyFile`` or the agent."""
    smtp_user: SecretStr | None = None
    smtp_password: SecretStr | None = None
    webhook_secret: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Signs what ``notify.url`` is sent; the receiver has the same (n8n: ``MO_WEBHOOK_SECRET``)."""
    existing: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")],
        Annotated[SecretStr, Field(min_length=1)],
    ] = {}
    """Values that are there already, by their names in spec section 4: used instead of a generated one until that is rotated. For a
    database whose account only the panel administers ``MO_<NAME>_DB_PASS``, and ``MO_<NAME>_DB_USER`` where it is another than the
    catalogue's."""

    def texts(self) -> tuple[str, ...]:
        """The text of every secret here, whatever holds it: what must stand in nothing that is published."""
        return tuple(_texts([getattr(self, name) for name in type(self).model_fields]))

    application: dict[EnvName, Annotated[SecretStr, Field(min_length=1)]] = {}
    """The owner's secrets that services read, by their names in the catalogue's ``secrets``."""

    def admin_password(self, server: str) -> SecretStr | None:
        """The administrator's password of a server by its name."""
        found = getattr(self, server.replace("-", "_") + "_admin_password", None)
        return found if isinstance(found, SecretStr) else None
