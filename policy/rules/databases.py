"""Databases: encrypted on the way, named by the scheme, closed to other services' accounts, kept when their service goes."""

import ipaddress
import re
from typing import Any

from rules.commands import COMMAND, request, step
from rules.rule import Resource, ResourceRule, Sentences
from rules.values import UNKNOWN, entries, holds_unknown, text

MYSQL_PROVIDER = "pulumi:providers:mysql"
POSTGRESQL_PROVIDER = "pulumi:providers:postgresql"
MYSQL_DATABASE = "mysql:index/database:Database"
MYSQL_USER = "mysql:index/user:User"
MYSQL_GRANT = "mysql:index/grant:Grant"
POSTGRESQL_DATABASE = "postgresql:index/database:Database"
POSTGRESQL_ROLE = "postgresql:index/role:Role"
POSTGRESQL_GRANT = "postgresql:index/grant:Grant"
COMPONENT = "mo:deploy:ServiceDatabase"

_DATABASE = re.compile(r"mo_[a-z0-9][a-z0-9_]{0,58}")
_ACCOUNT = re.compile(r"svc_[a-z0-9][a-z0-9_]{0,58}")
_GLOBAL = re.compile(
    r"\b(SUPER|FILE|PROCESS|RELOAD|SHUTDOWN|CREATE USER|GRANT OPTION|REPLICATION|BINLOG|CONNECTION ADMIN|SET USER|SHOW DATABASES)\b",
    re.IGNORECASE,
)
_KEPT = ("production", "staging")
"""Stacks whose databases stay, whatever is configured."""
_POWERS = ("superuser", "createDatabase", "createRole", "replication", "bypassRowLevelSecurity")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine (or the far end of a tunnel that begins on it)."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _tls(resource: Resource, config: dict[str, Any]) -> Sentences:
    props, name = resource.props, resource.name
    mysql = resource.type == MYSQL_PROVIDER
    address = props.get("endpoint" if mysql else "host")
    if address is UNKNOWN:
        yield f"{name}: its address is not known before the update, so whether it needs TLS is not either. Take it from the settings."
        return
    host = text(address)
    if mysql and not host.startswith("/"):
        host = host.rpartition(":")[0] or host
    if not host or is_loopback(host):
        return
    if mysql and text(props.get("tls")) in ("", "false", "skip-verify", "preferred"):
        yield f"{name}: the connection to {host} is not encrypted or its certificate not verified. Set tls: true for it in mo:servers."
    if not mysql and text(props.get("sslmode")) not in config["sslModes"]:
        allowed = " or ".join(config["sslModes"])
        yield f"{name}: sslmode to {host} must be {allowed}, so that another server cannot answer. Set tls: true in mo:servers."


def _names(resource: Resource, config: dict[str, Any]) -> Sentences:
    props = resource.props
    if resource.type in (MYSQL_DATABASE, POSTGRESQL_DATABASE):
        yield from _name(resource, "database", props.get("name"), _DATABASE, "mo_*")
    elif resource.type in (MYSQL_USER, POSTGRESQL_ROLE):
        yield from _name(resource, "account", props.get("user" if resource.type == MYSQL_USER else "name"), _ACCOUNT, "svc_*")
    else:
        yield from _name(resource, "database", props.get("name"), _DATABASE, "mo_*")
        yield from _name(resource, "account", props.get("user"), _ACCOUNT, "svc_*")


def _name(resource: Resource, kind: str, value: Any, pattern: re.Pattern[str], shown: str) -> Sentences:
    if value is UNKNOWN:
        yield f"{resource.name}: the name of its {kind} is not known before the update. Take it from the catalogue."
    elif not pattern.fullmatch(text(value)):
        yield f"{resource.name}: its {kind} is named {text(value)!r}, {shown} expected. Rename it in catalog/services.yaml."


def _own(database: Any, account: Any) -> bool:
    return bool(_DATABASE.fullmatch(text(database))) and text(account) == "svc_" + text(database)[3:]


def _grants(resource: Resource, config: dict[str, Any]) -> Sentences:
    props, name = resource.props, resource.name
    if resource.type == COMMAND:
        if step(props) in ("account", "revoke"):
            yield from _account(name, request(props))
        return
    if resource.type == COMPONENT:
        if not holds_unknown(props) and not _own(props.get("name"), props.get("user")):
            yield f"{name}: {text(props.get('user'))} is not the account of {text(props.get('name'))}: svc_x for mo_x. Mend the catalogue."
        return
    if resource.type == POSTGRESQL_ROLE:
        for power in _POWERS:
            if props.get(power) not in (None, False):
                yield f"{name}: a service's role must not have {power}. Take it away; only the owner's account has it."
        return
    database = props.get("database")
    account = props.get("user" if resource.type == MYSQL_GRANT else "role")
    if UNKNOWN in (database, account) or holds_unknown(props.get("privileges")):
        # Names are outputs of the database and the role, known once these exist; both are judged by name on their own.
        return
    revokes = resource.type == POSTGRESQL_GRANT and text(account) == "public" and not entries(props.get("privileges"))
    if not revokes and not _own(database, account):
        yield f"{name}: grants rights on {text(database)!r} to {text(account)!r}; svc_x may have rights on mo_x alone. Mend the catalogue."
    if props.get("grant") is True or props.get("withGrantOption") is True:
        yield f"{name}: a service's account must not pass its rights on. Take the grant option away."
    yield from _privileges(name, props.get("privileges"))


def _account(name: str, asked: Any) -> Sentences:
    if asked is UNKNOWN:
        return  # holds a password that is generated in this update; judged then, before the command runs
    if asked is None:
        yield f"{name}: its request on stdin is no JSON object. See docs/host-protocol.md."
        return
    if not _own(asked.get("database"), asked.get("user")):
        yield f"{name}: gives {text(asked.get('user'))!r} rights on {text(asked.get('database'))!r}; svc_x may have rights on mo_x alone."
    yield from _privileges(name, asked.get("privileges"))


def _privileges(name: str, privileges: Any) -> Sentences:
    for privilege in entries(privileges):
        if _GLOBAL.search(str(privilege)):
            yield f"{name}: {privilege} reaches beyond the service's own database. Take it out of the catalogue's privileges."


def _retained(resource: Resource, config: dict[str, Any]) -> Sentences:
    if resource.stack in config["purge"] and resource.stack not in _KEPT:
        return
    if resource.type == COMPONENT:
        if resource.props.get("retain") is not True:
            yield (
                f"{resource.name}: the database {text(resource.props.get('name'))} would be dropped with its service. "
                "Set mo:onRemove to retain; 'bin/mo remove' drops it after a verified snapshot."
            )
    elif COMPONENT not in resource.parent:
        yield f"{resource.name}: stands outside a ServiceDatabase, which is what keeps databases and accounts. Make it there."


_DATABASES = (MYSQL_DATABASE, POSTGRESQL_DATABASE, MYSQL_USER, POSTGRESQL_ROLE)

RULES = (
    ResourceRule(
        "database-tls",
        "The way to an external database is encrypted and its server verified.",
        (MYSQL_PROVIDER, POSTGRESQL_PROVIDER),
        _tls,
        schema={
            "sslModes": {
                "type": "array",
                "items": {"type": "string", "enum": ["verify-full", "verify-ca"]},
                "minItems": 1,
                "default": ["verify-full"],
                "description": "What counts as verified for PostgreSQL.",
            }
        },
    ),
    ResourceRule("database-names", "Databases are named mo_*, accounts svc_*.", (*_DATABASES, COMPONENT), _names),
    ResourceRule(
        "database-grants",
        "An account has rights on its own service's database alone.",
        (MYSQL_GRANT, POSTGRESQL_GRANT, POSTGRESQL_ROLE, COMMAND, COMPONENT),
        _grants,
    ),
    ResourceRule(
        "database-retained",
        "Databases and accounts stay when their service goes.",
        (*_DATABASES, COMPONENT),
        _retained,
        schema={
            "purge": {
                "type": "array",
                "items": {"type": "string", "not": {"enum": list(_KEPT)}},
                "default": ["sandbox"],
                "description": "Stacks whose databases may go with their services.",
            }
        },
    ),
)
