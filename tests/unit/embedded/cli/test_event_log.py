"""What ``--event-log`` has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedded.cli.main import run


@pytest.mark.parametrize(
    ("words", "variables", "told"),
    [
        ((), {}, True),
        (("--debug",), {}, True),
        (("--debug=false",), {}, False),
        ((), {"PULUMI_OPTION_DEBUG": "false"}, False),
        (("--debug",), {"PULUMI_OPTION_DEBUG": "false"}, True),
    ],
)
def test_debug_messages_are_among_the_events_unless_they_are_declined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], variables: dict[str, str], told: bool
) -> None:
    monkeypatch.setattr("embedded.state.encryption._ROUNDS", 10)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("import pulumi\npulumi.export('a', 1)\npulumi.log.info('said')\n")
    environment = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PULUMI_CONFIG_PASSPHRASE": "phrase", **variables}
    assert run(["stack", "init", "dev"], environment) == 0
    assert run(["up", "--yes", "--skip-preview", "--event-log", "events.jsonl", *words], environment) == 0
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    severities = {event["diagnosticEvent"]["severity"] for event in events if "diagnosticEvent" in event}
    assert severities == ({"debug", "info"} if told else {"info"})
