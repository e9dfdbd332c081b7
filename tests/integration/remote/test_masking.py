"""Whatever a tool on the host says with a secret of the service in it, in whichever form: what leaves the client has stars in its place."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.canaries import Canaries
from tests.unit.remote.test_masking import FORMS

from .conftest import Service

pytestmark = pytest.mark.sandbox
SECRET = "Kanari\"en\\vogel $HOME 'q' %41+/=&<ä> long enough to be cut"


@pytest.fixture
def canaries(service: Service) -> Canaries:
    """The service with a secret; ``said`` in its base is what the tool will say."""
    variables = {"API_SECRET": SECRET, "SMTP_HOST": "smtp.example.org", "PORT": "8080"}
    service.remote.run("env", service="votes", variables=variables)
    found = Canaries()
    found.add("API_SECRET", SECRET)
    return found


def tool(service: Service, said: str) -> list[str]:
    """A command that says this, as the service's process does in its own log, and fails."""
    folder = service.remote.root
    (folder / "said").write_text(said)
    own = folder / "logs/votes.log"
    own.parent.mkdir(exist_ok=True)
    own.touch()
    own.chmod(0o666)
    program = folder / "tool"
    program.write_text(f'#!/bin/sh\ncat "{folder}/said"\nawk 1 "{folder}/said" >>"{own}"\nexit 1\n')
    program.chmod(0o755)
    return [str(program)]


@pytest.mark.parametrize("runtime", ["process", "external"])
def test_a_restart_that_fails_shows_no_secret(service: Service, canaries: Canaries, runtime: str) -> None:
    # The last two: where the sentence is cut, amid the secret.
    for number, (form, before) in enumerate(
        (
            ("plain", "denied for "),
            ("URL", "mysql://svc:"),
            ("base64 for URLs", "Basic "),
            ("JSON", "x" * 180),
            ("plain", "x" * 195),
        )
    ):
        release = service.stage({"index.html": f"{runtime} {number}"})
        restart = {"command": tool(service, f"started\n{before}{FORMS[form](SECRET)}"), "budget": 1}
        done = service.remote.popen("switch", **service.request(release, restart=restart, runtime=runtime))
        shown = b"".join(done.communicate())
        assert b"ended with code 1: " in shown, shown
        assert canaries.within(shown) == set(), form
        assert SECRET[:5].encode() not in shown
        assert b"***" in shown or len(before) > 190
        assert (b"its last output: started" in shown) is (runtime == "process")


def test_an_operator_s_command_and_the_logs_show_no_secret(service: Service, canaries: Canaries) -> None:
    said = "\n".join(write(SECRET) for write in FORMS.values()) + "\nsmtp.example.org 8080\n"
    command = tool(service, said)
    release = service.stage({"index.html": "one"})
    service.remote.refused("switch", **service.request(release, restart={"command": command, "budget": 1}, runtime="process"))
    logs = service.remote.run("logs", service="votes", lines=100, target=service.target, domain=service.domain)
    shown = service.remote.run("exec", service="votes", target=".deploy", command=command)["output"].split("\n")
    for lines in (logs["lines"], logs["output_lines"], shown):
        assert canaries.within("\n".join(lines).encode()) == set()
        assert lines[-1] == "smtp.example.org 8080", "an address and a port are no secrets"
        assert sum("***" in line for line in lines) >= len(FORMS)


def test_a_secrets_file_that_the_shell_cannot_read_is_not_quoted(service: Service, canaries: Canaries) -> None:
    written = service.base / "secrets.env"
    written.write_text(written.read_text() + f"{SECRET}\n")
    done = service.remote.popen("exec", service="votes", target=".deploy", command=["true"], secrets=True)
    shown = b"".join(done.communicate())
    assert canaries.within(shown) == set()
    assert shown


def test_a_client_that_meets_a_defect_prints_no_traceback() -> None:
    """An error that nobody has thought of may quote anything."""
    program = (
        "import sys; sys.path[0] = 'components/remote'; import client.gate as gate, client.main as main\n"
        f"def run(request): raise RuntimeError({SECRET!r})\ngate.run = run\nsys.exit(main.main(['gate']))"
    )
    done = subprocess.run(
        ["python3", "-I", "-c", program], input='{"variables": {"A": ' + '"' + SECRET.replace("\\", "\\\\").replace('"', '\\"') + '"}}',
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "gate: RuntimeError: *** (MO_TRACE=1 shows where).\n"
