"""``run found``: whether the GitHub environment holds secrets already that the stack is about to generate. No SSH.

GitHub shows names and never values: what a first update would replace cannot be brought back.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import quote, urlsplit

from . import connection as connections
from . import jsontext
from .failure import Failure, printable
from .masking import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECONDS = 20
MAX_BYTES = 4 << 20
AT_MOST = 100
"""Secrets of an environment, by GitHub's own limit: one page."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``names`` that the stack generates a value for. Result: ``asked``. Fails where one of them is there."""
    names = [str(name) for name in request["names"]]
    stack = str(request["stack"])
    github = connections.load(stack).github
    if not names:
        return {"asked": []}
    place = f"repos/{quote(github['owner'])}/{quote(github['repository'])}/environments/{quote(github['environment'], safe='')}"
    held = sorted(_held(github, f"{place}/secrets?per_page={AT_MOST}") & set(names))
    if held:
        raise Failure(
            f"The GitHub environment {github['environment']} holds {', '.join(held)} already, and the stack {stack} would replace "
            f"{'it' if len(held) == 1 else 'them'} by new ones: keep each with bin/pulumi config set --stack {stack} --secret "
            f"--path 'mo:existing.{held[0]}', or have a new one made after gh secret delete {held[0]} "
            f"--repo {github['owner']}/{github['repository']} --env {github['environment']}; then deploy again. None of them was changed."
        )
    return {"asked": names}


def _held(github: dict[str, Any], path: str) -> set[str]:
    """The names of the environment's secrets; none where there is no such environment yet. A redirect is not followed: it would take the
    token along."""
    base = urlsplit(github.get("base_url") or "https://api.github.com/")
    host, port = base.hostname or "", base.port
    link = (
        http.client.HTTPConnection(host, port, timeout=SECONDS)
        if base.scheme == "http"
        else http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    )
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "mo-deploy", "X-GitHub-Api-Version": "2022-11-28"}
    if github.get("token"):
        headers["Authorization"] = f"Bearer {github['token']}"
    try:
        link.request("GET", f"{base.path.rstrip('/')}/{path}", headers=headers)
        answer = link.getresponse()
        body = answer.read(MAX_BYTES)
        if answer.status == 404:
            return set()
        if answer.status != 200:
            raise Failure(
                f"GitHub answers {answer.status} to the question which secrets the environment {github['environment']} holds; "
                "see bin/mo doctor, which tries the token's rights."
            )
        return {str(secret["name"]).upper() for secret in jsontext.loads(body)["secrets"]}
    except (OSError, http.client.HTTPException) as error:
        raise Failure(
            f"GitHub ({host}) cannot be asked which secrets there are: {printable(MASK.text(str(error)))[:200]}; try again."
        ) from None
    except (ValueError, TypeError, KeyError):
        raise Failure(f"What GitHub ({host}) answers to the question which secrets there are cannot be read; try again.") from None
    finally:
        link.close()
