"""Which files of a release are not for the web, and the rules that keep Apache from serving them.

A site that is served whole holds more than its pages: migrations, lock files, descriptions of its build. The build ships the rules as
``.htaccess``; a switch asks for such files of the release's own manifest before anybody is served from it.
"""

from __future__ import annotations

from .web import MAX_BODY, Answer, Site, Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS = ("migrations", "prisma", "alembic", "node_modules")
"""Folders that no visitor needs, at any depth."""
NAMES = (
    r"composer\.[^/]*",
    r"package[^/]*\.json",
    r"docker-compose[^/]*",
    r"requirements[^/]*\.txt",
    r"(yarn|pnpm)[^/]*\.ya?ml",
    r"[^/]*\.(sql|lock|py|pyc|log|ini|phar|bak|orig)",
)
"""Names of files that no visitor needs, in any folder."""
_OTHERS = r"(" + "|".join(FOLDERS) + r")(/|$)|(" + "|".join(NAMES) + r")(/|$)"
FOR_GREP = r"/(\.[^/]+|" + _OTHERS + ")"
"""An extended regular expression for the path of such a file, of any case; what is below ``.well-known`` is for the web all the same."""
PATTERN = r"/(\.(?!well-known(/|$))[^/]+|" + _OTHERS + ")"
"""The same for Apache and nginx, whose expressions can say that by themselves."""
BEGIN, END = "# BEGIN mo-deploy: files of a release that are not for the web", "# END mo-deploy"
HTACCESS = f"""\
{BEGIN}
<IfModule mod_alias.c>
RedirectMatch 404 "(?i){PATTERN}"
</IfModule>
{END}
"""
"""Additive: neither a site's own rewrite rules nor its ``Require`` take a ``RedirectMatch`` away, and it takes nothing away from them."""
NGINX = f'location ~* "{PATTERN}" {{ return 404; }}'
"""For a server that obeys no ``.htaccess``; docs/runbook.md tells where it goes."""


def merged(own: str) -> str:
    """A site's own ``.htaccess`` (empty: none) with the rules after it; rules of an earlier build are replaced."""
    lines: list[str] = []
    inside = False
    for line in own.splitlines(keepends=True):
        inside = inside or line.strip() == BEGIN
        if not inside:
            lines.append(line)
        inside = inside and line.strip() != END
    text = "".join(lines).rstrip("\n")
    return f"{text}\n\n{HTACCESS}" if text else HTACCESS


def served(site: Site, prefix: str, files: Sequence[tuple[str, str]], deadline: float, headers: dict[str, str]) -> str | None:
    """Names a file that must not be served and is: ``files`` are SHA-256 and path (relative, ``/`` between its parts) of those that the
    release holds, ``prefix`` is where it is asked for (``/…`` or empty). A site that answers every path with a page serves none of them."""
    for digest, path in files:
        url = f"{prefix}/{_quoted(path)}"
        try:
            answer = site.get(url, deadline, headers)
            if answer.status == 200 and (
                _is(answer, digest) or (_runs(path) and not _answers_all(site, prefix, path, deadline, headers))
            ):
                return f"serves {url} to everybody, a file of the release that is not for the web"
        except Unanswered as error:
            return f"gives no answer at {url}: {error}"
    return None


def _is(answer: Answer, digest: str) -> bool:
    from hashlib import sha256

    return sha256(answer.body).hexdigest() == digest or len(answer.body) >= MAX_BODY


def _runs(path: str) -> bool:
    """Whether its answer is not its content: what is in such a folder must not be run by a visitor either."""
    return path.endswith((".php", ".phtml", ".phar"))


def _answers_all(site: Site, prefix: str, path: str, deadline: float, headers: dict[str, str]) -> bool:
    folder = path.rpartition("/")[0]
    return site.get(f"{prefix}/{_quoted(folder + '/' if folder else '')}mo-none.php", deadline, headers).status == 200


def _quoted(path: str) -> str:
    safe = "-._~/!$&'()*+,;=:@"
    return "".join(
        c if (c.isascii() and c.isalnum()) or c in safe else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogateescape"))
        for c in path
    )
