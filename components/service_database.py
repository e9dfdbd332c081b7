"""A service's database, its account, and the rights of that account on that database alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_mysql as mysql
import pulumi_postgresql as postgresql
from pulumi_command import local

from catalog.models import Database
from catalog.secret_names import database_secrets
from catalog.settings import ServerSettings
from components.component import PROTOCOL, Component, host_step, result
from components.facts import ExistingDatabase
from components.generated_secret import generated

PASSWORD_LENGTH = 40
DATABASE_S_OWN = ("encoding", "template", "lcCollate", "lcCtype", "owner", "connectionLimit", "tablespaceName", "isTemplate")
"""What a PostgreSQL database that was there before keeps: most of it could be changed only by making it anew."""
ROLE_S_OWN = (
    "bypassRowLevelSecurity", "connectionLimit", "createDatabase", "createRole", "idleInTransactionSessionTimeout", "inherit",
    "login", "replication", "roles", "searchPaths", "statementTimeout", "superuser", "validUntil",
)  # fmt: skip
"""What a role that was there before keeps."""


@dataclass(frozen=True)
class ServiceDatabaseArgs:
    """``provider``: of the database's server; ``None`` where it is ``existing``: the database is checked, its account taken over.

    ``rotation``: the id of the rotation that this update makes of the password, if any. ``user``, ``password``: as they are already, where
    the settings say so; ``existing``: what the server holds already, where that was asked."""

    stack: str
    host: str
    service: str
    database: Database
    server: ServerSettings
    provider: pulumi.ProviderResource | None
    retain: bool = True
    rotation: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    existing: ExistingDatabase | None = None

    def taken_over(self, name: str, there: bool | None, *ignored: str) -> dict[str, Any]:
        """Resource options of what may have been there before. It is imported by its name, where the state does not know it yet, and
        stays as it is in what we do not need otherwise (``ignored``). Where the state knows it, an engine passes the import by."""
        return {"ignore_changes": list(ignored), **({"import_": name} if there else {})}


class ServiceDatabase(Component):
    """``<service>-db-password``, ``-database`` (where managed), ``-account`` and ``-revoke``; PostgreSQL: ``-role`` and three grants too.
    Nothing of these where only the hoster's panel administers the server.

    ``user``, ``password`` (secret): what the service logs in with; on PostgreSQL a rotation changes the user too. ``ready``: what a
    service's secrets file and its release must wait for. ``revoke``: takes former passwords away, see ``retire``. ``administered``: whether
    that is ours to do.
    """

    user: pulumi.Output[str]
    password: pulumi.Output[str]
    ready: list[pulumi.Resource]
    administered: bool

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
        self.administered = args.server.administered
        if not self.administered:
            self.user = pulumi.Output.from_input(args.user or database.user)
            self.password = pulumi.Output.secret(_given(args))
            self.ready = []
            self.register_outputs({"name": database.name, "user": self.user, "password": self.password})
            return
        made = generated(self, f"{args.service}-db-password", PASSWORD_LENGTH, args.rotation, args.password)
        self.password, self._rotation = made.value, made.rotation
        self._request = {
            "protocol": PROTOCOL,
            "stack": args.stack,
            "host": args.host,
            "service": args.service,
            "server": database.server,
            "database": database.name,
            "user": database.user,
            "password": self.password,
            "hosts": list(args.server.account_hosts),
            "privileges": list(database.privileges),
        }
        self.ready = self._mariadb(args) if database.engine == "mariadb" else self._postgresql(args)
        self.register_outputs({"name": database.name, "user": self.user, "password": self.password})

    def retire(self, service: str, after: Sequence[pulumi.Resource], *, held: bool) -> local.Command:
        """``<service>-revoke``, once every place has the password (``after``). ``held``: the daemon that uses it is somebody else's, so
        that former passwords stay until its owner has told it the new one (``bin/mo rotate SERVICE --revoke``)."""
        request = {**self._request, "kept": self._kept, "rotation": self._rotation, "hold": held}
        kept = {"ignore_changes": ["stdin"]} if held else {}
        return host_step(f"{service}-revoke", "revoke", request, self.child(*after, **kept), secret=True)

    def _mariadb(self, args: ServiceDatabaseArgs) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        if args.provider is not None:
            made.append(
                mysql.Database(
                    f"{args.service}-database",
                    name=args.database.name,
                    default_character_set="utf8mb4",
                    default_collation="utf8mb4_unicode_ci",
                    opts=self.child(
                        provider=args.provider,
                        retain_on_delete=args.retain,
                        **args.taken_over(args.database.name, _exists(args), "defaultCharacterSet", "defaultCollation"),
                    ),
                )
            )
        self.user = pulumi.Output.from_input(args.database.user)
        account = host_step(f"{args.service}-account", "account", self._request, self.child(*made), secret=True)
        self._kept = result(account, "kept")
        return [*made, account]

    def _postgresql(self, args: ServiceDatabaseArgs) -> list[pulumi.Resource]:
        if args.provider is None:
            raise pulumi.RunError(
                f"The database of service {args.service} is on {args.database.server}, which is existing; PostgreSQL must be managed."
            )
        # Without a password: those are the account's, which hands the server no password in clear and keeps two valid while one is rotated.
        role = postgresql.Role(
            f"{args.service}-role",
            name=args.database.user,
            login=True,
            opts=self.child(
                provider=args.provider,
                retain_on_delete=args.retain,
                **args.taken_over(args.database.user, args.existing.account if args.existing else None, *ROLE_S_OWN),
            ),
        )
        # The administrator owns the database: one that is not superuser could otherwise neither change it later nor shut others out.
        # It depends on the role to be dropped before it: a role that has tables somewhere cannot be.
        database = postgresql.Database(
            f"{args.service}-database",
            name=args.database.name,
            encoding="UTF8",
            template="template0",
            lc_collate="C.UTF-8",
            lc_ctype="C.UTF-8",
            opts=self.child(
                role,
                provider=args.provider,
                retain_on_delete=args.retain,
                **args.taken_over(args.database.name, _exists(args), *DATABASE_S_OWN),
            ),
        )
        account = host_step(f"{args.service}-account", "account", self._request, self.child(role), secret=True)
        self._kept = result(account, "kept")
        self.user = result(account, "role").apply(lambda name: str(name or args.database.user))
        return [role, database, account, *self._rights(args, args.provider, role, database)]

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


def _exists(args: ServiceDatabaseArgs) -> bool | None:
    return args.existing.exists if args.existing else None


def _given(args: ServiceDatabaseArgs) -> str:
    if args.password is None:
        raise pulumi.RunError(
            f"The password of service {args.service} is the panel's and was not given: {database_secrets(args.database)[1]}."
        )
    return args.password
