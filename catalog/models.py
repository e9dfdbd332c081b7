"""The typed catalogue: what each service is. Pure data; nothing here knows Pulumi, a host or a stack's values.

Every model refuses unknown keys. ``catalog.reader.read`` turns a YAML file into a ``Catalog`` and every mistake into one sentence with
file, line, service and key.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

ServiceKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
RelativePath = Annotated[str, StringConstraints(pattern=r"^(?!.*(^|/)\.\.(/|$))[A-Za-z0-9._][A-Za-z0-9._/ -]*$", max_length=200)]
HostName = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$", max_length=200)
]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")]

Technology = Literal[
    "static", "php", "fastapi", "vite", "typescript", "drupal", "n8n", "keycloak", "grafana", "minio", "matomo", "logging"
]
Runtime = Literal["files", "php", "process", "external"]
MigrationKind = Literal["sql", "alembic", "prisma", "drush", "command"]
Engine = Literal["mariadb", "postgresql"]


Command = Annotated[tuple[str, ...], Field(min_length=1)]


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re")


class Database(Strict):
    """A service's database. ``server`` names one of the stack's servers (``plesk``, ``external-mariadb``, ``external-postgresql``)."""

    engine: Engine
    server: Literal["plesk", "external-mariadb", "external-postgresql"]
    name: Identifier
    user: Identifier
    privileges: tuple[str, ...] = ("ALL PRIVILEGES",)
    """Rights on this database alone; for MariaDB ``ALL PRIVILEGES`` or names of privileges."""


class Build(Strict):
    """How a service's artefact is made: ``kind`` picks the strategy; ``output`` is what is packed, relative to the source."""

    kind: Literal["copy", "php", "npm", "vite", "typescript", "python"] = "copy"
    output: RelativePath | None = None
    scripts: tuple[str, ...] = ()
    """npm scripts to run, in order, e.g. ``build:games``; for ``python`` those of them that the monorepo's package.json has."""
    only: tuple[RelativePath, ...] = ()
    """Paths of the source that are packed, each with all below it; empty: everything."""
    include: dict[RelativePath, RelativePath] = {}
    """Further folders of the monorepo that are packed too: folder -> where in the artefact."""
    python: str = Field(default="3.11", pattern=r"^3\.\d{1,2}$")
    """For ``python``: the host's version, whose wheels are shipped."""
    timeout: int = Field(default=600, ge=1, le=3600)
    """Seconds for each step."""


class VersionIn(Strict):
    """Where an artefact says the version that its schema has after its migrations."""

    file: RelativePath
    pattern: str = Field(min_length=1, max_length=200)
    """Regular expression whose one group is the version, as ``schema_query`` gives it afterwards."""

    @field_validator("pattern")
    @classmethod
    def _has_one_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"has {groups} groups; one is the version")
        return value


class Migration(Strict):
    """How the database follows a release. ``online``: compatible with the running release, never restored automatically."""

    kind: MigrationKind
    mode: Literal["online", "offline"]
    directory: RelativePath | None = None
    """Where the release holds its migrations (``sql``, ``alembic``, ``prisma``)."""
    commands: tuple[tuple[str, ...], ...] = ()
    """For ``drush`` and ``command``: argument lists, run in the release's directory in order."""
    check: tuple[str, ...] = ()
    """Run after the migration, in the release's directory: it must exit with 0, else the migration has failed. For tools that say so when
    something is left to do (``prisma migrate status``, ``alembic current --check-heads``)."""
    version: VersionIn | None = None
    """For ``command``: without it a release cannot be told from one whose schema the database has outgrown."""
    timeout: int = Field(default=600, ge=1, le=7200)
    """Seconds for the whole of it."""


class Restart(Strict):
    """How a long-running process takes the new release; ``budget`` is the declared unavailability in seconds."""

    command: Command
    otherwise: tuple[Command, ...] = ()
    """What to run instead, in this order, where the host has not the program of the one before: what is there differs from host to host."""
    budget: int = Field(default=10, ge=1, le=300)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """All of them; the first one whose program the host has is run."""
        return (self.command, *self.otherwise)


class HostSteps(Strict):
    """What happens on the host besides copying files."""

    dependencies: Literal["venv"] | None = None
    migrate: Migration | None = None
    restart: Restart | None = None
    programs: tuple[str, ...] = ()
    """Programs that the host must have for this service (besides those that every release needs)."""


class Daemon(Strict):
    """How the daemon of an ``external`` service tells that it is well: status 200, no HTML, and ``contains``."""

    path: str = Field(pattern=r"^/[^\s\"'\\]*$")
    contains: str | None = None


class ToldVersion(Strict):
    """Where a site tells its version: an OpenAPI document, ``info.version``."""

    path: str = Field(default="/openapi.json", pattern=r"^/[^\s\"'\\]*$")
    expect: str | None = Field(default=None, min_length=1, max_length=100)
    """The version that it must be; without it any is told, and that there is none is told too, and neither is a failure."""


class Health(Strict):
    """What the public URL must answer."""

    path: str = Field(default="/", pattern=r"^/[^\s\"'\\]*$")
    status: Literal[200] = 200
    contains: str | None = None
    release_path: str | None = Field(default="/release.json", pattern=r"^/[^\s\"'\\]*$")
    """Where the site tells its release as JSON (``release``); ``null`` where it does not."""
    version: ToldVersion | None = None
    """Read after the switch, beside the smoke test."""
    daemon: Daemon | None = None
    """Of an ``external`` service: where its daemon answers. Where that does not, the page and ``release_path`` must, and it is "files
    only"."""
    successes: int = Field(default=2, ge=1, le=10)
    timeout: int = Field(default=20, ge=1, le=300)


class Service(Strict):
    """One web service."""

    title: str
    host: HostName
    """The name below the stack's domain; empty for the domain itself."""
    path: RelativePath
    """Where the web server looks, below the host's root."""
    technology: Technology
    runtime: Runtime
    source: RelativePath
    """Below the monorepo."""
    build: Build = Build()
    excludes: tuple[str, ...] = ()
    """rsync patterns left out of the artefact, besides ``.git`` and ``*.log``, which are never in it."""
    persistent: tuple[RelativePath, ...] = ()
    """What belongs to the running site (uploads): linked into each release, never deleted."""
    status_page: RelativePath | None = None
    """A file below a persistent path: each deploy replaces it by the status page of the stack (docs/monitoring.md)."""
    web_root: RelativePath | None = None
    """The folder of the release that is served (``public``, ``web``): the document root must be ``<path>/<web_root>``. What else the
    release holds is out of the web's reach. Without it all of it is served but for what is not for the web (docs/runbook.md)."""
    hard_links: bool = True
    """Whether unchanged files may be hard links to the former release."""
    database: Database | None = None
    secrets: tuple[EnvName, ...] = ()
    """Application secrets that the service's ``secrets.env`` holds: names that every stack provides (``catalog.secret_names.SHARED``), and
    those that the catalogue declares."""
    mail: str | None = None
    """Mail address, ``{domain}`` standing for the stack's domain."""
    steps: HostSteps = HostSteps()
    health: Health = Health()
    schema_query: str | None = None
    """SQL that gives one value, the schema's version."""
    after: tuple[ServiceKey, ...] = ()
    """Services whose ``switch`` must have ended before this one's begins."""
    stacks: tuple[Literal["production", "staging", "sandbox"], ...] = Field(min_length=1)


class GeneratedSecret(Strict):
    """A secret that the stack generates, once, and anew where ``bin/mo rotate NAME`` asks for it. ``bytes``: of entropy."""

    kind: Literal["generated"]
    bytes: int = Field(default=32, ge=16, le=128)


class OwnerSecret(Strict):
    """A secret that only the stack's owner has: ``bin/pulumi config set --secret --path 'mo:application.NAME'``. ``purpose``: what it is
    and where it comes from, for who has to set it."""

    kind: Literal["owner"]
    purpose: str = Field(min_length=1, max_length=200)


class PlainSetting(Strict):
    """A value that is no secret: ``bin/pulumi config set --path 'mo:values.NAME' VALUE``, else ``default``, in which ``{domain}`` stands
    for the stack's domain."""

    kind: Literal["setting"]
    default: str | None = Field(default=None, max_length=1000)


SecretDeclaration = Annotated[GeneratedSecret | OwnerSecret | PlainSetting, Field(discriminator="kind")]


class Catalog(Strict):
    """All services, by key, in the file's order. ``secrets``: what services read besides the names that every stack provides."""

    version: Literal[1]
    services: dict[ServiceKey, Service]
    secrets: dict[EnvName, SecretDeclaration] = {}

    def of_stack(self, stack: str, extra: tuple[str, ...] = ()) -> dict[str, Service]:
        """The services that ``stack`` deploys: those that name it, and ``extra`` from its configuration."""
        return {k: s for k, s in self.services.items() if stack in s.stacks or k in extra}
