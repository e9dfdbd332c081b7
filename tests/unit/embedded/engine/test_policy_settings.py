"""Settings of policy packs: what applies over what, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedded.engine.policy_settings import Config, SettingsError, initial, read_settings, reconciled

SCHEMA = {"properties": {"max": {"type": "integer", "default": 16, "minimum": 1}}, "required": ["max"]}


def written(folder: Path, content: object) -> str:
    path = folder / "settings.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_the_file_overrides_the_pack_which_overrides_the_defaults(tmp_path: Path) -> None:
    defaults = {"short": initial("mandatory", SCHEMA), "other": initial("advisory", {})}
    given = read_settings(written(tmp_path, {"all": "advisory", "short": {"enforcementLevel": "disabled", "max": 4}}))
    configs, complaints = reconciled(defaults, {"short": SCHEMA}, {"other": Config("remediate")}, given)
    assert complaints == []
    assert configs["short"] == Config("disabled", {"max": 4})
    assert configs["other"].level == "advisory"


def test_wrong_settings_are_told_in_the_words_of_the_real_engine() -> None:
    defaults = {"short": initial("mandatory", SCHEMA)}
    assert reconciled(defaults, {"short": SCHEMA}, {"short": Config("", {"max": "many"})})[1] == [
        "short: max: Invalid type. Expected: integer, given: string"
    ]
    assert reconciled(defaults, {"short": SCHEMA}, {"short": Config("", {"max": 0})})[1] == [
        "short: max: Must be greater than or equal to 1"
    ]
    assert reconciled({"short": Config("mandatory")}, {"short": SCHEMA})[1] == ["short: max is required"]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '"mandatory"', {"a": 5}, {"a": "loud"}, {"a": {"enforcementLevel": 3}}, {"a": {"enforcementLevel": "loud"}}],
)
def test_files_that_make_no_sense_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(SettingsError):
        read_settings(written(tmp_path, content))


def test_a_missing_file_is_named_and_an_empty_one_is_fine(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.json: no such file"):
        read_settings(str(tmp_path / "nowhere.json"))
    assert read_settings(written(tmp_path, "")) == {}
