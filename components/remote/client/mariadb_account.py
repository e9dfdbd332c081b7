"""A MariaDB account: its passwords, and its rights on its own database alone.

A new password is added beside those that are valid (MariaDB takes several on one user, since 10.4), so that nobody who still has the one
before is turned away; ``retire`` takes the others away once the new one is where it is needed. Rights that stay are never revoked in
between, so connections that are open lose nothing.
"""

from __future__ import annotations

import hashlib
import re

from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .account import Account

_BY_PASSWORD = re.compile(r" IDENTIFIED BY PASSWORD '(\*[0-9A-Fa-f]{40})'")
_WAY = re.compile(r"`?(\w+)`?(?: (?:USING|AS) '((?:[^'\\]|\\.|'')*)')?( OR )?")
NATIVE = "mysql_native_password"
SEVERAL_SINCE = (10, 4)
Way = tuple[str, str]
"""How one may log in: the plugin, and what the server keeps of the password."""


def admit(cursor: Any, account: Account, in_use: Callable[[], str | None]) -> dict[str, Any]:
    """Makes the account, or takes it over, with ``account.password`` and with what was valid. The result is without secrets: ``created``,
    ``granted``, ``revoked``, ``kept`` (the number of former ways to log in), ``version``.

    Many clients follow the server to a second password only. So where rotations that were never finished have left several, the one
    of ``in_use`` (what the service logs in with) stays alone."""
    version = _version(cursor)
    cursor.execute("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", (account.database,))
    if not (cursor.fetchone() or (0,))[0]:
        raise Failure(
            f"The database {account.database} does not exist on {account.server}; make it in the hoster's panel, "
            "or set the server's provision to managed."
        )
    created, granted, revoked, kept = [], [], [], 0
    scope = "`" + account.database.replace("_", "\\_") + "`.*"
    own = (NATIVE, hashed(account.password))
    for host in account.hosts:
        if not _exists(cursor, account.user, host):
            created.append(f"{account.user}@{host}")
            # Of one that is there nothing is asked: what logs in with it now may not speak TLS.
            require = " REQUIRE SSL" if account.tls else ""
            cursor.execute(
                f"CREATE USER IF NOT EXISTS %s@%s IDENTIFIED VIA {NATIVE} USING %s{require}", (account.user, host, own[1])
            )
        else:
            others = [way for way in _ways(cursor, account.user, host) if way != own]
            if len(others) > 1 and (used := in_use()) and (NATIVE, hashed(used)) in [own, *others]:
                others = [way for way in others if way == (NATIVE, hashed(used))]
            if others and _number(version) < SEVERAL_SINCE:
                raise Failure(
                    f"The server {account.server} is MariaDB {version[:30]} and takes one password for an account, so that that of "
                    f"{account.user} cannot be changed without refused logins; expected 10.4 or later."
                )
            # The former one first: who still has it is not asked for anything new.
            _identify(cursor, account.user, host, [*others, own])
            kept += len(others)
        wanted = "ALL PRIVILEGES" if "ALL PRIVILEGES" in account.privileges else ", ".join(sorted(account.privileges))
        cursor.execute(f"GRANT {wanted} ON {scope} TO %s@%s", (account.user, host))
        granted.append(f"{wanted} ON {scope} TO {account.user}@{host}")
        cursor.execute("SHOW GRANTS FOR %s@%s", (account.user, host))
        for statement in excess([str(row[0]) for row in cursor.fetchall()], scope, wanted):
            cursor.execute(f"REVOKE {statement} FROM %s@%s", (account.user, host))
            revoked.append(f"{statement} FROM {account.user}@{host}")
    return {"created": created, "granted": granted, "revoked": revoked, "kept": kept, "version": version}


def former(cursor: Any, account: Account) -> int:
    """How many ways to log in there are besides ``account.password``. Raises ``Failure`` where that one is not among them."""
    found = 0
    own = (NATIVE, hashed(account.password))
    for host in account.hosts:
        ways = _ways(cursor, account.user, host)
        if own not in ways:
            raise Failure(
                f"{account.user}@{host} on {account.server} does not have the password of this stack, so no other one is revoked; "
                "run the update again."
            )
        found += len(ways) - 1
    return found


def retire(cursor: Any, account: Account) -> list[str]:
    """Takes every way to log in but ``account.password`` away; gives the accounts that had others."""
    changed = []
    own = (NATIVE, hashed(account.password))
    for host in account.hosts:
        if _ways(cursor, account.user, host) != [own]:
            _identify(cursor, account.user, host, [own])
            changed.append(f"{account.user}@{host}")
    return changed


def _identify(cursor: Any, user: str, host: str, ways: Sequence[Way]) -> None:
    """The statement holds what the server keeps of the passwords, and no password, so that no log of the server shows one."""
    text = " OR ".join(f"{plugin} USING %s" for plugin, _ in ways)
    cursor.execute(f"ALTER USER %s@%s IDENTIFIED VIA {text}", (user, host, *(kept for _, kept in ways)))


def _exists(cursor: Any, user: str, host: str) -> bool:
    cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = %s AND host = %s", (user, host))
    return bool((cursor.fetchone() or (0,))[0])


def _ways(cursor: Any, user: str, host: str) -> list[Way]:
    cursor.execute("SHOW CREATE USER %s@%s", (user, host))
    return ways(str((cursor.fetchone() or ("",))[0]))


def ways(statement: str) -> list[Way]:
    """The ways to log in of a ``SHOW CREATE USER`` line; an empty password is none, so that it does not outlive the first real one."""
    if native := _BY_PASSWORD.search(statement):
        return [(NATIVE, native[1])]
    _, via, rest = statement.partition(" IDENTIFIED VIA ")
    found: list[Way] = []
    while via and (way := _WAY.match(rest)):
        if way[2] and way[2] != "invalid":
            found.append((way[1], way[2].replace("''", "'")))
        rest = rest[way.end() :]
        if not way[3]:
            break
    return found


def _version(cursor: Any) -> str:
    cursor.execute("SELECT VERSION()")
    return str((cursor.fetchone() or ("",))[0])


def _number(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def hashed(password: str) -> str:
    """What the server keeps of a password."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def excess(grants: Sequence[str], scope: str, wanted: str) -> list[str]:
    """What to revoke (``PRIVILEGES ON scope``) of these ``SHOW GRANTS`` lines, so that ``wanted`` on ``scope`` alone stays."""
    found = []
    allowed = {privilege.strip() for privilege in wanted.split(",")}
    for line in grants:
        if not line.startswith("GRANT ") or " ON " not in line:
            if line.startswith("GRANT ") and " TO " in line:
                found.append(line[len("GRANT ") :].split(" TO ")[0])  # a role
            continue
        privileges, _, rest = line[len("GRANT ") :].partition(" ON ")
        place = rest.split(" TO ")[0]
        names = _split(privileges)
        options = ["GRANT OPTION"] if rest.endswith("WITH GRANT OPTION") else []
        if place == scope:
            surplus = options + ([] if wanted == "ALL PRIVILEGES" else [name for name in names if name not in allowed])
            if surplus and "ALL PRIVILEGES" in surplus:
                # ALL stands for each of these; those that are not wanted go by name, so that the others stay throughout.
                surplus = [name for name in surplus if name != "ALL PRIVILEGES"]
                surplus += [name for name in DATABASE_PRIVILEGES if name not in allowed]
        else:
            surplus = options + [name for name in names if name != "USAGE"]
        if surplus:
            found.append(f"{', '.join(surplus)} ON {place}")
    return found


DATABASE_PRIVILEGES = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES",
    "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY",
)  # fmt: skip
"""What ALL PRIVILEGES stands for on a database."""


def _split(privileges: str) -> list[str]:
    """Splits ``SELECT (a, b), INSERT`` at the commas outside parentheses."""
    parts, depth, word = [], 0, ""
    for c in privileges:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(word.strip())
            word = ""
        else:
            word += c
    return [*parts, word.strip()]
