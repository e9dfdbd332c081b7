"""The panel of an account without a process service is a panel all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.panel import supervisor


@pytest.mark.parametrize("configuration", ["", "\n", "\n\n"])
def test_a_panel_without_a_process_service_answers(tmp_path: Path, configuration: str) -> None:
    (tmp_path / "panel.tsv").write_text(configuration)
    panel = supervisor.Panel(tmp_path / "panel.tsv", tmp_path, tmp_path)
    panel.resume()
    panel.watch()
    panel.load()
    assert panel.answer({"verb": "status", "service": None}) == {"ok": True, "message": "there are no process services"}
    assert panel.answer({"verb": "restart", "service": "api"}) == {
        "ok": False,
        "message": "pleskctl: no service 'api'; there are none",
    }
