"""Every secret of a deployment is only where it belongs: one deployment with its failures, then a search through everything it touched."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.databases import ADMIN
from tests.e2e.canaries import Canaries, Processes
from tests.e2e.deployment import Deployment, deployment
from tests.onlooker import Watch

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.xdist_group("e2e-secrets"),
    pytest.mark.timeout(1500),
]

OWN_FILES = (
    "clone/.mo/sandbox/connection.json",
    "clone/.mo/sandbox/ssh-key",
    "clone/.mo/signing.pem",
    "host/home/www/htdocs/w01234567/.deploy/[^/]+/secrets.(env|former)",
    "host/home/www/htdocs/w01234567/.deploy/api/log/[^/]+-restart.log",
)
"""Where secrets belong, each file of mode 600: the checkout's connection and keys, each service's ``secrets.env``; and the log
on the host of the tool that quotes one, which is masked where it leaves the host."""
OTHERS_FILES = ("host/settings.yaml", "host/secrets.json", "host/ssh/id_(ed25519|new)", r"host/data/[^/]+/init\.sql")
"""The owner's own settings file and key, and what the sandbox starts its servers with: given to the deployment, not written by it."""
SECRET = "4dabf18193072939515e22adb298388d"
"""The key that marks a secret in an exported state."""
PUBLIC = re.compile(r".*_(HOST|PORT|USER|EMAIL|FROM|BOUNCE)")
"""Names of the GitHub environment whose values are no secrets: addresses and account names, which stand in public settings too."""


@dataclass
class Deployed:
    """The deployment after all that was done with it."""

    site: Deployment
    scratch: Path
    began: float
    canaries: Canaries = field(default_factory=Canaries)
    outputs: dict[str, str] = field(default_factory=dict)
    processes: Processes = field(default_factory=Processes)
    watch: Watch = field(default_factory=Watch)

    def run(self, *command: str, expect: int | None = 0) -> None:
        """Runs a command and keeps what it says."""
        done = self.site.run(*command, expect=expect)
        self.outputs[f"{len(self.outputs)}: {' '.join(command)}"] = done.stdout

    def fails(self, what: str, *arguments: str) -> None:
        """An ``up`` that must fail, for all that it could then tell."""
        done = self.site.up(*arguments, expect=None)
        self.outputs[f"{len(self.outputs)}: up with {what}"] = done.stdout
        assert done.returncode != 0, f"with {what} the deploy must fail:\n{done.stdout[-3000:]}"
        self.collect()

    def collect(self) -> None:
        """Adds the secrets that there are now: generated ones from the state, those that GitHub and the host received."""
        for resource in self.resources():
            if resource["type"] == "random:index/randomPassword:RandomPassword":
                for key, value in resource["outputs"].items():
                    if isinstance(value, dict) and SECRET in value:
                        self.canaries.add(f"{resource['urn'].rsplit('::', 1)[1]}.{key}", json.loads(value["plaintext"]))
        for name, value in self.site.sandbox.github.secrets().get("sandbox", {}).items():
            if not PUBLIC.fullmatch(name):
                self.canaries.add(f"GitHub's {name}", _private(value))

    def resources(self) -> list[dict[str, Any]]:
        """The state's resources, secrets in clear."""
        exported = self.site.run("bin/pulumi", "stack", "export", "--show-secrets", "--stack", "sandbox").stdout
        found: list[dict[str, Any]] = json.loads(exported)["deployment"]["resources"]
        return found

    def renewed(self, *names: str) -> list[str]:
        """The arguments of an ``up`` that makes these resources anew."""
        urns = {r["urn"].rsplit("::", 1)[1]: r["urn"] for r in self.resources()}
        return [f"--replace={urns[name]}" for name in names]


def _private(text: str) -> str:
    """Of an OpenSSH key the lines that hold its private half (the others begin every key, or hold the public half)."""
    if "OPENSSH PRIVATE KEY" not in text:
        return text
    return "\n".join(line for line in text.splitlines()[3:-1] if len(line) >= 60)


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    began = time.time()
    with deployment() as site:
        made = Deployed(site, site.clone.parent, began)
        _prepare(made)
        with made.processes, made.watch:
            _first_deploy(made)
            _commands(made)
            _failures(made)
        yield made


def _prepare(made: Deployed) -> None:
    """Secrets with every sign that needs escaping, one in the stack's own configuration, servers that log each statement."""
    site, sandbox = made.site, made.site.sandbox
    held = sandbox.layout.directory / "secrets.json"
    secrets = json.loads(held.read_text())
    secrets["smtp-password"] = f"Kanari\"en\\vogel $HOME 'q' %41+/=&<ä> {secrets['smtp-password']}"
    held.write_text(json.dumps(secrets))
    sandbox.up()
    for name, value in {**sandbox.site.passwords, **sandbox.settings["secrets"]}.items():
        if name != "smtpUser":
            made.canaries.add(name, value)
    key = sandbox.layout.key.read_text()
    made.canaries.add("the SSH key", _private(key))
    # As docs and error messages tell the owner to: by stdin.
    site.run("sh", "-c", f"bin/pulumi config set --stack sandbox --secret mo:sshPrivateKey < {sandbox.layout.key}")
    _log_statements(site)
    site.build()
    made.canaries.add("the signing key", (site.clone / ".mo/signing.pem").read_text())


def _log_statements(site: Deployment) -> None:
    for server in ("plesk", "external-mariadb"):
        with closing(site.sandbox.mariadb(server)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SET GLOBAL log_output = 'FILE', GLOBAL general_log = 1, GLOBAL slow_query_log = 1, GLOBAL long_query_time = 0"
            )
    with closing(site.sandbox.postgresql(superuser=True)) as server_wide:
        server_wide.execute(f"ALTER ROLE {ADMIN} SET log_statement = 'all'".encode())


def _first_deploy(made: Deployed) -> None:
    made.run("bin/pulumi", "preview", "--stack", "sandbox")
    made.run("bin/pulumi", "preview", "--diff", "--stack", "sandbox")
    made.run("bin/pulumi", "preview", "--json", "--stack", "sandbox")
    made.run("bin/pulumi", "up", "--yes", "--skip-preview", "--diff", "--stack", "sandbox")
    made.collect()


def _commands(made: Deployed) -> None:
    site = made.site
    # A real one: with the issue on GitHub, the report, the status page and the call to n8n. No mail can be sent with the canary that the
    # SMTP password is (its "ä" is none of SMTP's), so that the flows could not pass.
    site.edit("website/index.html", "<!-- secrets -->\n")
    site.run("bin/mo", "build", "--stack", "sandbox", "main")
    made.run("bin/mo", "deploy", "--yes", "--skip", "end-to-end", "--skip", "visual", "--skip", "lighthouse")
    assert [issue["title"] for issue in site.sandbox.github.state()["issues"].values()], "its issue is searched too"
    made.run("bin/pulumi", "up", "--yes", "--json", "--stack", "sandbox", *made.renewed("votes-db-password", "secret-jwt-secret"))
    made.run("bin/pulumi", "preview", "--diff", "--stack", "sandbox", *made.renewed("idp-db-password"))
    made.collect()
    for name in ("votes", "api", "JWT_SECRET"):
        made.run("bin/mo", "rotate", name, "--yes")
    made.collect()
    for command in ("status", "doctor", "report", "history", "drift"):
        made.run("bin/mo", command, expect=None)
    made.run("bin/mo", "status", "--json", expect=None)
    made.run("bin/mo", "doctor", "--json", expect=None)
    made.run("bin/mo", "report", "--json", expect=None)
    for service in ("votes", "api", "crm"):
        made.run("bin/mo", "logs", service)
    made.run("bin/mo", "export", "--out", str(site.clone / "exported"))
    made.run("bin/pulumi", "stack", "export", "--stack", "sandbox")
    made.run("bin/pulumi", "stack", "output", "--json", "--stack", "sandbox")
    made.run("bin/pulumi", "stack", "history", "--json", "--stack", "sandbox")
    made.run("bin/pulumi", "config", "--json", "--stack", "sandbox")


def _failures(made: Deployed) -> None:
    """Deploys that fail while they have new passwords to write."""
    site, sandbox = made.site, made.site.sandbox
    settings = sandbox.layout.settings.read_text()
    wrong = yaml.safe_load(settings)
    for name in ("pleskAdminPassword", "externalMariadbAdminPassword", "externalPostgresqlAdminPassword"):
        wrong["secrets"][name] = f'Falsch\'es "Wort" {wrong["secrets"][name][::-1]}'
        made.canaries.add(f"the wrong {name}", wrong["secrets"][name])
    sandbox.layout.settings.write_text(yaml.safe_dump(wrong))
    made.fails("wrong database passwords", *made.renewed("votes-db-password", "idp-db-password"))
    sandbox.layout.settings.write_text(settings)

    with closing(sandbox.postgresql(superuser=True)) as server_wide:
        server_wide.execute(f"ALTER ROLE {ADMIN} NOCREATEROLE".encode())
        made.fails("an administrator without rights", *made.renewed("idp-db-password"))
        server_wide.execute(f"ALTER ROLE {ADMIN} CREATEROLE".encode())

    with sandbox.database_down("mariadb-plesk"), sandbox.database_down("postgresql"):
        made.fails("databases that are down", *made.renewed("votes-db-password", "idp-db-password"))
    _log_statements(site)

    sandbox.github.control(fail={"status": 500, "count": 40, "match": "PUT .*/secrets/"})
    made.fails("GitHub's error 500", *made.renewed("secret-session-secret"))

    _quoting_restart(made)

    broken = site.clone / "sandbox/monorepo/services/votes/migrations/0002_broken.sql"
    broken.write_text("ALTER TABLE not_there ADD COLUMN nothing INT;\n")
    site.build("votes")
    made.fails("a migration that fails", *made.renewed("votes-db-password"))
    made.run("bin/mo", "logs", "votes")
    made.run("bin/mo", "report", expect=None)


QUOTES = r"""#!/bin/sh
# A daemon's supervisor that quotes, in its last line, what it read: as it is, for a shell, in a URL and in base64.
pass=$(sed -n "s/^DB_PASS='\(.*\)'$/\1/p" "$HOME"/www/htdocs/*/.deploy/api/secrets.env)
echo "cannot start api: DB_PASS='$pass' postgresql://svc_api:$pass@db/ $(printf 'svc_api:%s' "$pass" | base64 | tr -d "\n")"
exit 1
"""


def _quoting_restart(made: Deployed) -> None:
    """A restart that fails and says its password, which would then stand in state, history, journals and reports."""
    site = made.site
    program = site.sandbox.layout.home / "bin/pleskctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(QUOTES)
    program.chmod(0o755)
    made.fails("a restart that quotes its password", *made.renewed("api-db-password"))
    assert "cannot start api: DB_PASS=" in [*made.outputs.values()][-1], "what it said is reported, but for the password"
    program.unlink()


def _strays(made: Deployed, places: list[Path]) -> dict[str, set[str]]:
    """The files with secrets that should have none, relative to the deployment's folder."""
    found = {os.path.relpath(path, made.scratch): names for path, names in made.canaries.files(places).items()}
    allowed = re.compile("|".join(OWN_FILES + OTHERS_FILES))
    return {path: names for path, names in found.items() if not allowed.fullmatch(path)}


@pytest.mark.parametrize(
    "form",
    [
        str.encode,
        lambda value: json.dumps(value).encode(),
        lambda value: json.dumps(json.dumps({"stdin": value})).encode(),
        lambda value: urllib.parse.quote_plus(value).encode(),
        lambda value: base64.b64encode(b"x" + value.encode() + b"y"),
        lambda value: base64.urlsafe_b64encode(b"xy" + value.encode()),
        lambda value: gzip.compress(value.encode()),
    ],
    ids=["plain", "JSON", "JSON in JSON", "URL", "base64", "base64 for URLs", "gzip"],
)
def test_the_search_finds_a_secret_in_each_form(tmp_path: Path, form: Callable[[str], bytes]) -> None:
    canaries = Canaries()
    canaries.add("planted", "Kanari\"en\\vogel 'q' %41+/=ä")
    (tmp_path / "innocent").write_text("Kanarienvogel")
    (tmp_path / "deep").mkdir()
    planted = tmp_path / "deep" / "file.gz"
    planted.write_bytes(
        form("Kanari\"en\\vogel 'q' %41+/=ä")
        if form(" ")[:2] == b"\x1f\x8b"
        else b"\0\n<" + form("Kanari\"en\\vogel 'q' %41+/=ä") + b">\n"
    )
    assert canaries.files([tmp_path]) == {planted: {"planted"}}


def test_the_look_at_processes_sees_a_secret_in_arguments_and_environment() -> None:
    canaries = Canaries()
    canaries.add("in the arguments", "kanarienvogel-im-argument")
    canaries.add("in the environment", "kanarienvogel-in-der-umgebung")
    with Processes() as processes:
        environment = {"PASSWORD": "kanarienvogel-in-der-umgebung"}
        subprocess.run(["/bin/sh", "-c", "sleep 0.5; :", "kanarienvogel-im-argument"], env=environment, check=True)
    found = processes.holding(canaries)
    assert found["arguments of /bin/sh"] == {"in the arguments"}
    assert found["environment of /bin/sh"] == {"in the environment"}


def test_every_secret_is_known_to_the_search(deployed: Deployed) -> None:
    """Each value in a ``secrets.env`` is one of those looked for, or public; so no new secret escapes these tests."""
    for path in (deployed.site.sandbox.root / ".deploy").glob("*/secrets.env"):
        for line in path.read_text().splitlines():
            name, _, value = line.partition("=")
            public = PUBLIC.fullmatch(name) or name in ("DB_ENGINE", "DB_NAME", "DB_SSL_CA")
            assert public or deployed.canaries.within(value.encode()), f"{path.parent.name}'s {name}"
    assert len(deployed.canaries.names) > 30


def test_secrets_are_where_they_belong_and_only_their_owner_can_read_them(deployed: Deployed) -> None:
    found = deployed.canaries.files([deployed.scratch])
    relative = {os.path.relpath(path, deployed.scratch): path for path in found}
    own = {name: path for name, path in relative.items() if re.fullmatch("|".join(OWN_FILES), name)}
    for pattern in OWN_FILES:
        assert any(re.fullmatch(pattern, name) for name in own), f"nothing is found at {pattern}: does the search work?"
    assert {name: f"{path.stat().st_mode & 0o777:o}" for name, path in own.items()} == dict.fromkeys(own, "600")


def test_no_secret_is_in_the_backend_s_state(deployed: Deployed) -> None:
    state = deployed.scratch / "host" / "state"
    assert list(state.rglob("*.checkpoint.json")) or list(state.rglob("sandbox*.json"))
    assert _strays(deployed, [state]) == {}


def test_no_secret_is_in_the_checkout(deployed: Deployed) -> None:
    for place in ("dist", "quality-reports", "exported", "Pulumi.sandbox.yaml"):
        assert (deployed.site.clone / place).exists()
    assert _strays(deployed, [deployed.site.clone]) == {}


def test_no_secret_is_on_the_host_but_in_secrets_env(deployed: Deployed) -> None:
    assert _strays(deployed, [deployed.site.sandbox.layout.home]) == {}


def test_no_secret_is_in_a_database_server_s_logs_or_files(deployed: Deployed) -> None:
    layout = deployed.site.sandbox.layout
    logged = [path for path in (layout.data / "plesk").rglob("*.log") if b"CREATE USER" in path.read_bytes()]
    assert logged, "the general log holds no statement"
    assert "ALTER ROLE" in (layout.logs / "postgresql.log").read_text(errors="replace")
    assert _strays(deployed, [layout.data, layout.logs]) == {}


def test_no_secret_is_in_what_github_logs(deployed: Deployed) -> None:
    assert any(
        "PUT" in request["request"] and "/secrets/" in request["request"] for request in deployed.site.sandbox.github.requests()
    )
    assert _strays(deployed, [deployed.site.sandbox.layout.github]) == {}


def test_no_secret_is_anywhere_else_of_sandbox_or_checkout(deployed: Deployed) -> None:
    assert _strays(deployed, [deployed.scratch]) == {}


def test_no_secret_is_in_the_operator_s_home_or_among_temporary_files(deployed: Deployed) -> None:
    home = Path.home()
    places = [home / name for name in (".pulumi", ".config", ".cache/mo-deploy", ".local/state", ".ssh")]
    places += [*home.glob(".*history"), home / ".profile", home / ".bashrc"]
    temporary = [entry for name in ("/tmp", "/var/tmp", "/dev/shm") for entry in Path(name).iterdir()]
    # Other sandboxes have secrets of their own, and many files.
    temporary = [entry for entry in temporary if not entry.name.startswith(("mo-e2e-", "mo-sandbox-")) and not entry.is_symlink()]
    places = [place for place in places if place.exists()]
    argv = ["find", *map(str, places + temporary), "-xdev", "-type", "f", "-newermt", f"@{deployed.began}", "-print0"]
    listed = subprocess.run(argv, capture_output=True, check=False).stdout
    written = [Path(os.fsdecode(name)) for name in listed.split(b"\0") if name]
    assert written, "the deployment has left no file outside of its folder: does the search work?"
    assert _strays(deployed, written) == {}


def test_no_secret_is_in_what_commands_print(deployed: Deployed) -> None:
    found = {command: names for command, text in deployed.outputs.items() if (names := deployed.canaries.within(text.encode()))}
    assert found == {}


def test_no_secret_is_in_a_process_s_arguments_or_environment(deployed: Deployed) -> None:
    what = "\n".join(deployed.processes.seen.values())
    for program in ("ssh", "rsync", "python"):
        assert re.search(rf"arguments of \S*{program}", what), f"no {program} was seen"
    found = deployed.processes.holding(deployed.canaries)
    # A migration's tool (alembic, drush) reads its own service's secrets from its environment, on the host, where the same account may
    # read secrets.env anyway (components/remote/host/migrate); nothing else may.
    tool = re.compile(r"environment of (\S*/\.deploy/[^/]+/\S+|\.venv/bin/\S+|(\S*/)?php[\d.]*)")
    assert {what: names for what, names in found.items() if not tool.fullmatch(what)} == {}


def test_another_user_can_call_nothing_while_a_deployment_runs(deployed: Deployed) -> None:
    assert any("pulumi-engine-" in door for door in deployed.watch.doors), "the engine was not seen"
    assert [door for door in deployed.watch.doors if not door.startswith("unix /")] == []
    assert deployed.watch.called == set()
