"""A stack in a folder of its own, and the engine as a process on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 120.0  # seconds after which a test gives up
START = f"import sys; sys.path[0] = {str(ROOT)!r}; from embedded.cli.main import main; sys.exit(main())"
# Kills the engine right after a line of the journal: what a power cut or `kill -9` at that moment leaves behind.
_KILL = f"""
import os, signal, sys
sys.path[0] = {str(ROOT)!r}
from embedded.cli.main import main
from embedded.state.journal import FileJournal
append, left = FileJournal._append, [int(os.environ["KILL_AFTER"])]
def counted(self, entry, *, durable):
    append(self, entry, durable=durable)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
FileJournal._append = counted
sys.exit(main())
"""


class Stack:
    """The stack ``dev`` of a project in a folder of its own."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: held\nruntime: python\n")
        (folder / "__main__.py").write_text(program)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "CI", "GITHUB_"))}
        self.environment = kept | {
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "held",
        }
        assert self.run("stack", "init", "dev").returncode == 0

    def run(self, *words: str, kill_after: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; with ``kill_after`` it is killed after so many lines of the journal."""
        return subprocess.run(
            [sys.executable, "-c", _KILL if kill_after else START, *words, "--non-interactive", "--color", "never"],
            cwd=self.folder, env=self.environment | {"KILL_AFTER": str(kill_after)}, capture_output=True, text=True, timeout=PATIENCE,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def good(self, *words: str) -> str:
        """Runs a command that must succeed: what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def state(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Names of the commands in the state, in its order, and the pending operations."""
        deployment = json.loads(self.good("stack", "export"))["deployment"]

        def name(resource: dict[str, Any]) -> str:
            return str(resource["urn"]).rpartition("::")[2]

        names = [name(resource) for resource in deployment.get("resources", []) if resource["type"] == "command:local:Command"]
        return names, [(each["type"], name(each["resource"])) for each in deployment.get("pending_operations", [])]
