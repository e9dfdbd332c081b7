"""A PostgreSQL account: roles with one password each, all acting as the service's own role.

PostgreSQL keeps one password for a role, so a new password goes to a role that nobody logs in as: the service's own (``svc_x``) or one
beside it (``svc_x_b``, or the next one up to ``svc_x_h``). That one is a member of the own role and acts as it from the login on, so that
every table keeps one owner and the rights are those of one role. ``retire`` then takes the password of all the others away. Which password
a role has stands in its comment, as a digest, because only a superuser may look at passwords.
"""

from __future__ import annotations

import hashlib

from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .account import Account

LETTERS = "bcdefgh"
_OURS = "mo-deploy: "
_OPEN, _CLOSED = _OURS + "password ", _OURS + "no password"


def admit(link: Any, account: Account) -> dict[str, Any]:
    """Gives ``account.password`` to a role that is free and leaves the other roles' passwords valid. The result: ``role``, whose password
    it is, ``created`` (roles), ``kept`` (the number of other roles that may log in), ``version``."""
    with link.transaction():
        # One update of a stack at a time; the lock is for two that were started by hand.
        link.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"mo-deploy {account.user}",))
        told = _roles(link, account.user)
        if account.user not in told:
            raise Failure(
                f"The role {account.user} does not exist on {account.server}; expected the update to have made it before."
            )
        mark = _OPEN + fingerprint(account)
        if not told[account.user].startswith(_OURS) and _had_password(link, account.user):
            # Taken over with the password that somebody uses: that stays, and is former from now on where it is not the stack's own.
            told[account.user] = mark if _logs_in(link, account) else _OPEN + "unknown"
            _comment(link, account.user, told[account.user])
        role = next((name for name, comment in told.items() if comment == mark), None) or _free(told, account)
        if role not in told:
            _run(link, "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION", role)
        # A role of before lost its membership where the own role was dropped and made anew.
        if role != account.user and not link.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", (role, account.user)).fetchone()[0]:
            _run(link, "GRANT {} TO {}", account.user, role)
            _run(link, "ALTER ROLE {} SET role = {}", role, account.user)
        _password(link, role, account.password)
        _comment(link, role, mark)
    return {
        "role": role,
        "created": [role] if role not in told else [],
        "kept": len([name for name in _open(_roles(link, account.user)) if name != role]),
        "version": str(link.execute("SHOW server_version").fetchone()[0]),
    }


def former(link: Any, account: Account) -> int:
    """How many roles of the service may log in besides the one with ``account.password``. Raises ``Failure`` where none has that."""
    return len(_others(link, account))


def retire(link: Any, account: Account) -> list[str]:
    """Takes the password of every role but the one with ``account.password`` away; gives their names."""
    with link.transaction():
        others = _others(link, account)
        for name in others:
            _password(link, name, None)
            _comment(link, name, _CLOSED)
    return others


def fingerprint(account: Account) -> str:
    """Sixteen hex digits that tell generated passwords (240 bits) apart and nothing about them."""
    return hashlib.sha256(f"mo-deploy\0{account.user}\0{account.password}".encode()).hexdigest()[:16]


def _others(link: Any, account: Account) -> list[str]:
    told = _roles(link, account.user)
    own = next((name for name, comment in told.items() if comment == _OPEN + fingerprint(account)), None)
    if own is None:
        raise Failure(
            f"No role of {account.user} on {account.server} has the password of this stack, so no other one is revoked; "
            "run the update again."
        )
    return [name for name in _open(told) if name != own]


def _free(told: dict[str, str], account: Account) -> str:
    """The role for a new password: the first that has none. An own role without our comment was just made."""
    for name in _names(account.user):
        if told.get(name, _CLOSED) == _CLOSED or (name == account.user and not told[name].startswith(_OPEN)):
            return name
    raise Failure(
        f"All {len(LETTERS) + 1} roles of {account.user} on {account.server} have passwords of rotations that were never finished; "
        "finish one first (bin/mo deploy)."
    )


def _had_password(link: Any, user: str) -> bool:
    """Whether somebody gave the role a password before us: as the server says to a superuser, else by what the role owns, which one that
    the update has just made owns nothing of."""
    import psycopg

    try:
        with link.transaction():
            found = link.execute("SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = %s", (user,)).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        query = "SELECT EXISTS (SELECT 1 FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid WHERE r.rolname = %s AND d.deptype = 'o')"
        found = link.execute(query, (user,)).fetchone()
    return bool(found and found[0])


def _logs_in(link: Any, account: Account) -> bool:
    """Whether the role's password is the account's: it is one that the settings say (``mo:existing``)."""
    import psycopg

    where = {**link.info.get_parameters(), "user": account.user, "password": account.password, "dbname": account.database}
    try:
        psycopg.connect(**where).close()
    except psycopg.OperationalError:
        return False
    return True


def _names(user: str) -> list[str]:
    return [user, *(f"{user}_{letter}" for letter in LETTERS)]


def _open(told: dict[str, str]) -> list[str]:
    return [name for name, comment in told.items() if comment != _CLOSED]


def _roles(link: Any, user: str) -> dict[str, str]:
    """The service's roles, the own one first, with their comments."""
    query = (
        "SELECT rolname, COALESCE(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname"
    )
    return {str(name): str(comment) for name, comment in link.execute(query, (_names(user),)).fetchall()}


def _password(link: Any, role: str, password: str | None) -> None:
    """Sets a role's password. The statement holds what the server keeps of it, so that no log of the server shows it."""
    from psycopg import sql

    kept = None if password is None else link.pgconn.encrypt_password(password.encode(), role.encode()).decode()
    link.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(kept)))


def _comment(link: Any, role: str, text: str) -> None:
    from psycopg import sql

    link.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(text)))


def _run(link: Any, statement: str, *names: str) -> None:
    from psycopg import sql

    link.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
