"""The documented form of the stack's output ``monitoring`` is the form that the program gives."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from catalog.exports import MonitoringExport
from tests.unit.components.program import artefact, put, run

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "exports.schema.json"


def test_the_documented_schema_is_the_models() -> None:
    assert json.loads(SCHEMA.read_text()) == MonitoringExport.model_json_schema(by_alias=True), (
        "catalog/exports.py changed: write MonitoringExport.model_json_schema(by_alias=True) to docs/exports.schema.json"
    )


def test_what_the_program_exports_fits_the_schema(tmp_path: Path) -> None:
    put(tmp_path, artefact("api"))
    exported = run(tmp_path).export
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(exported, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**exported, "password": "x"}, schema)
