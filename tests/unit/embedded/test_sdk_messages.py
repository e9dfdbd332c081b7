"""The engine's process takes Pulumi's messages without running the SDK."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def _run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_engines_commands_run_without_the_sdk() -> None:
    told = _run(
        "import sys\nfrom embedded import sdk_messages\nsdk_messages.bare()\nimport embedded.cli.operations, embedded.engine\n"
        "from pulumi.runtime.proto import resource_pb2\n"
        "print('pulumi.resource' in sys.modules, resource_pb2.RegisterResourceRequest(type='a').type)"
    )
    assert told == "False a"


def test_an_sdk_that_has_been_imported_stays_whole() -> None:
    assert _run("import pulumi\nfrom embedded import sdk_messages\nsdk_messages.bare()\nprint(pulumi.Output.__name__)") == "Output"
