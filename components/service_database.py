"""A service's database, its account, and the rights of that account on that database alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_mysql as mysql
import pulumi_postgresql as postgresql
import pulumi_random as random

from catalog.models import Database
from catalog.settings import ServerSettings
from components.component import PROTOCOL, Component, host_step

PASSWORD_LENGTH = 40
SAFE_SPECIAL = "-_"
"""With letters and digits 64 signs, 6 bits each; none that a shell, SQL or the mysql provider would take for something else."""


@dataclass(frozen=True)
class ServiceDatabaseArgs:
    """``provider``: of the database's server; ``None`` where it is ``existing``: the database is checked, its account taken over."""

    stack: str
    host: str
    service: str
    database: Database
    server: ServerSettings
    provider: pulumi.ProviderResource | None
    retain: bool = True


class ServiceDatabase(Component):
    """``<service>-db-password``; MariaDB: ``-database`` (managed), ``-account``; PostgreSQL: ``-role``, ``-database``, three grants.

    ``password``: secret. ``ready``: what a service's secrets file and its release must wait for.
    """

    password: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: ServiceDatabaseArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        database = args.database
        props = {
            "service": args.service,
            "engine": database.engine,
            "server": database.server,
            "name": database.name,
            "user": database.user,
            "retain": args.retain,
        }
        super().__init__(name, props, after, opts)
        generated = random.RandomPassword(
            f"{args.service}-db-password", length=PASSWORD_LENGTH, special=True, override_special=SAFE_SPECIAL, opts=self.child()
        )
        self.password = generated.result
        self.ready = self._mariadb(args) if database.engine == "mariadb" else self._postgresql(args)
        self.register_outputs({"name": database.name, "user": database.user, "password": self.password})

    def _mariadb(self, args: ServiceDatabaseArgs) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        if args.provider is not None:
            made.append(
                mysql.Database(
                    f"{args.service}-database",
                    name=args.database.name,
                    default_character_set="utf8mb4",
                    default_collation="utf8mb4_unicode_ci",
                    opts=self.child(provider=args.provider, retain_on_delete=args.retain),
                )
            )
        request = {
            "protocol": PROTOCOL,
            "stack": args.stack,
            "host": args.host,
            "service": args.service,
            "server": args.database.server,
            "database": args.database.name,
            "user": args.database.user,
            "password": self.password,
            "hosts": list(args.server.account_hosts),
            "privileges": list(args.database.privileges),
        }
        return [*made, host_step(f"{args.service}-account", "account", request, self.child(*made), secret=True)]

    def _postgresql(self, args: ServiceDatabaseArgs) -> list[pulumi.Resource]:
        if args.provider is None:
            raise pulumi.RunError(
                f"The database of service {args.service} is on {args.database.server}, which is existing; PostgreSQL must be managed."
            )
        role = postgresql.Role(
            f"{args.service}-role",
            name=args.database.user,
            login=True,
            password=self.password,
            opts=self.child(provider=args.provider, retain_on_delete=args.retain),
        )
        # The administrator owns the database: one that is not superuser could otherwise neither change it later nor shut others out.
        database = postgresql.Database(
            f"{args.service}-database",
            name=args.database.name,
            encoding="UTF8",
            template="template0",
            lc_collate="C.UTF-8",
            lc_ctype="C.UTF-8",
            opts=self.child(provider=args.provider, retain_on_delete=args.retain),
        )
        return [role, database, *self._rights(args, args.provider, role, database)]

    def _rights(
        self, args: ServiceDatabaseArgs, provider: pulumi.ProviderResource, role: postgresql.Role, database: postgresql.Database
    ) -> list[pulumi.Resource]:
        """PostgreSQL lets everybody connect to every database, and since version 15 only the owner make tables in ``public``."""
        rights: dict[str, dict[str, Any]] = {
            "closed": {"role": "public", "object_type": "database", "privileges": []},
            "grant": {"role": role.name, "object_type": "database", "privileges": ["CONNECT", "CREATE", "TEMPORARY"]},
            "schema-grant": {"role": role.name, "object_type": "schema", "schema": "public", "privileges": ["CREATE", "USAGE"]},
        }
        return [
            postgresql.Grant(
                f"{args.service}-{what}",
                database=database.name,
                opts=self.child(provider=provider, retain_on_delete=args.retain),
                **right,
            )
            for what, right in rights.items()
        ]
