"""One web service of the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_command import local
from pydantic import SecretStr

from catalog.models import Service
from catalog.secret_names import database_secrets
from catalog.settings import ServerSettings, StackSettings
from catalog.settings_file import reveal
from components.artefacts import Choice
from components.component import Component
from components.facts import ExistingDatabase
from components.health_check import HealthCheck, HealthCheckArgs
from components.release import Release, ReleaseArgs, public_host
from components.service_database import ServiceDatabase, ServiceDatabaseArgs
from components.service_secrets import ServiceSecrets, ServiceSecretsArgs


@dataclass(frozen=True)
class SubdomainArgs:
    """``choice``: ``None`` for a service that never had an artefact. ``server``, ``provider``, ``ca`` (PEM or ``SYSTEM``): of its
    database's server.

    ``existing``: values that are there already, by name. ``secrets``: all application secrets; ``secrets_after``: what a generated secret
    waits for; ``switch_after``: the switches of the services that it is declared ``after``; ``taken_over``: what its database's server
    holds already."""

    stack: str
    service: str
    entry: Service
    settings: StackSettings
    choice: Choice | None
    server: ServerSettings | None
    provider: pulumi.ProviderResource | None
    ca: str | None
    existing: Mapping[str, SecretStr]
    secrets: Mapping[str, pulumi.Output[str]] = field(repr=False)
    secrets_after: Sequence[pulumi.Resource] = ()
    switch_after: Sequence[pulumi.Resource] = ()
    taken_over: ExistingDatabase | None = None


class Subdomain(Component):
    """Children: ``ServiceDatabase``, ``ServiceSecrets``, ``Release`` and ``HealthCheck``, each where the service has such."""

    database: ServiceDatabase | None
    env: local.Command | None
    release: Release | None
    check: HealthCheck | None

    def __init__(
        self, name: str, args: SubdomainArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        entry, settings = args.entry, args.settings
        props = {
            "service": args.service,
            "domain": public_host(entry, settings.domain),
            "persistent": list(entry.persistent),
            "health": {"path": entry.health.path, "status": entry.health.status},
        }
        super().__init__(name, props, after, opts)
        inside = pulumi.ResourceOptions(parent=self)
        self.database = self._database(args, after, inside)
        ready: list[pulumi.Resource] = list(self.database.ready) if self.database else []
        variables = variables_of(args, self.database)
        self.env = None
        if variables:
            written = ServiceSecretsArgs(
                args.stack, settings.host.name, args.service, variables, args.ca, entry, settings.domain, settings.host.strategy
            )
            self.env = ServiceSecrets(f"{args.service}-secrets", written, [*after, *ready], inside).env
            ready.append(self.env)
        self.release = self.check = None
        if args.choice is not None:
            self.release = self._release(args, args.choice, [*ready, *args.switch_after], after, inside)
            check = HealthCheckArgs(args.stack, settings.host.name, args.service, entry, args.choice, settings.domain)
            self.check = HealthCheck(f"{args.service}-check", check, [*after, self.release.switch], inside)
        self.register_outputs({"domain": props["domain"], "release": self.release.id if self.release else None})

    def _database(
        self, args: SubdomainArgs, after: Sequence[pulumi.Resource], inside: pulumi.ResourceOptions
    ) -> ServiceDatabase | None:
        if args.entry.database is None or args.server is None:
            return None
        user, password = database_secrets(args.entry.database)
        wanted = ServiceDatabaseArgs(
            stack=args.stack,
            host=args.settings.host.name,
            service=args.service,
            database=args.entry.database,
            server=args.server,
            provider=args.provider,
            retain=args.settings.on_remove == "retain",
            rotation=args.settings.rotate.get(args.service),
            user=reveal(args.existing.get(user)),
            password=reveal(args.existing.get(password)),
            existing=args.taken_over,
        )
        return ServiceDatabase(f"{args.service}-data", wanted, [*after, *args.secrets_after], inside)

    def _release(
        self,
        args: SubdomainArgs,
        choice: Choice,
        before_switch: Sequence[pulumi.Resource],
        after: Sequence[pulumi.Resource],
        inside: pulumi.ResourceOptions,
    ) -> Release:
        wanted = ReleaseArgs(
            stack=args.stack,
            host=args.settings.host.name,
            service=args.service,
            entry=args.entry,
            choice=choice,
            domain=args.settings.domain,
            strategy=args.settings.host.strategy,
            adopt="replace" if args.service in args.settings.adopt else "refuse",
            keep=args.settings.keep_releases,
            before_switch=before_switch,
        )
        return Release(f"{args.service}-release", wanted, after, inside)


def variables_of(args: SubdomainArgs, database: ServiceDatabase | None) -> dict[str, pulumi.Input[str]]:
    """What the service's ``secrets.env`` holds: its database and the application secrets that the catalogue gives it."""
    variables: dict[str, pulumi.Input[str]] = {name: args.secrets[name] for name in args.entry.secrets if name in args.secrets}
    declared = args.entry.database
    if declared is not None and database is not None and args.server is not None:
        variables |= {
            "DB_ENGINE": declared.engine,
            "DB_HOST": args.server.host,
            "DB_PORT": str(args.server.port),
            "DB_NAME": declared.name,
            "DB_USER": database.user,
            "DB_PASS": database.password,
        }
    return variables
