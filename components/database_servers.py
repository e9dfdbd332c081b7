"""The database servers: one explicit provider for each that we may make databases on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_mysql as mysql
import pulumi_postgresql as postgresql

from catalog.settings import OwnerSecrets, ServerSettings
from catalog.settings_file import reveal
from components.component import Component


@dataclass(frozen=True)
class DatabaseServersArgs:
    """``servers``: those that a service of this stack uses. ``socks_port``: where the SSH master forwards to the host's network."""

    servers: Mapping[str, ServerSettings]
    secrets: OwnerSecrets
    socks_port: int | None


class DatabaseServers(Component):
    """Children: a provider ``server-<name>`` for each managed server. ``providers``: by the server's name; existing servers have none,
    since their databases are the panel's."""

    providers: dict[str, pulumi.ProviderResource]

    def __init__(
        self,
        name: str,
        args: DatabaseServersArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {key: {"engine": s.engine, "provision": s.provision, "tls": s.tls} for key, s in args.servers.items()}
        super().__init__(name, {"servers": props}, after, opts)
        self.providers = {
            key: self._explicit(key, server, args) for key, server in args.servers.items() if server.provision == "managed"
        }
        self.register_outputs({"servers": sorted(args.servers)})

    def _explicit(self, key: str, server: ServerSettings, args: DatabaseServersArgs) -> pulumi.ProviderResource:
        password = reveal(args.secrets.admin_password(key))
        secret = pulumi.Output.secret(password) if password is not None else None
        if server.engine == "mariadb":
            maria: pulumi.ProviderResource = mysql.Provider(
                f"server-{key}",
                endpoint=f"{server.host}:{server.port}",
                username=server.admin_user,
                password=secret,
                proxy=_proxy(key, args.socks_port) if server.reach == "host" else None,
                tls="true" if server.tls else "false",
                opts=self.child(),
            )
            return maria
        if server.reach == "host":
            raise pulumi.RunError(
                f"The server {key} is PostgreSQL with reach: host, which Pulumi's provider cannot do; give it reach: direct and TLS."
            )
        postgres: pulumi.ProviderResource = postgresql.Provider(
            f"server-{key}",
            host=server.host,
            port=server.port,
            username=server.admin_user,
            password=secret,
            sslmode="verify-full" if server.tls else "disable",
            sslrootcert=server.ca_file if server.tls else None,
            superuser=False,
            connect_timeout=15,
            opts=self.child(),
        )
        return postgres


def _proxy(key: str, port: int | None) -> str:
    if port is None:
        raise pulumi.RunError(
            f"The server {key} has reach: host, so mo:host.socksPort must name a free local port for its forward."
        )
    return f"socks5://127.0.0.1:{port}"
