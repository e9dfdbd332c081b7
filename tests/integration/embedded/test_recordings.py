"""The recordings of the real engine and its plugins: providers answer as they did, the display prints what the CLI printed."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded import display
from embedded.model import Result
from embedded.providers import PACKAGES, load
from embedded.providers.base import Resource
from embedded.values import (
    ASSET_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_STRING,
    Asset,
    PropertyValue,
    Secret,
)

CASES = Path(__file__).resolve().parents[2] / "conformance" / "cases.tar.xz"
KINDS = {"": "add", "ADD": "add", "UPDATE": "update", "DELETE": "delete"}
# The plugin's own mistake: its Check moves unknown values in a list inside a map to another place (recordings, README 18).
WRONG_IN_THE_PLUGIN = "urn:pulumi:dev::unknowns-outputs::command:local:Command::echoes"


@pytest.fixture(scope="module")
def recorded() -> dict[str, str]:
    """The recorded files that are read here, by their paths."""
    found: dict[str, str] = {}
    with tarfile.open(CASES) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            wanted = "/expected/" in name and (
                "/grpc" in name or ("lifecycle-command" in name and name.endswith(("events.jsonl", "stdout.txt")))
            )
            if member.isfile() and wanted:
                file = archive.extractfile(member)
                assert file is not None
                found[name] = file.read().decode()
    assert found
    return found


def value(wire: Any) -> PropertyValue:
    """A recorded wire value."""
    if isinstance(wire, dict):
        if wire.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return Secret(value(wire["value"]))
        if wire.get(SIGNATURE_KEY) == ASSET_SIGNATURE:
            return Asset({key: item for key, item in wire.items() if key != SIGNATURE_KEY})
        return {key: value(item) for key, item in wire.items()}
    if isinstance(wire, list):
        return [value(item) for item in wire]
    return UNKNOWN if wire == UNKNOWN_STRING else wire


def calls(recorded: dict[str, str], package: str) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Path, method, request and response of each finished call of a provider."""
    for path, text in sorted(recorded.items()):
        if "/grpc" not in path:
            continue
        for line in text.splitlines():
            call = json.loads(line)
            mine = "ResourceProvider/" in call["method"] and call["metadata"].get("name") == package
            if mine and call["progress"] == "response_completed":
                yield path, call["method"].rsplit("/", 1)[-1], call["request"], call.get("response") or {}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_checks_and_diffs_are_answered_as_recorded(recorded: dict[str, str], package: str) -> None:
    provider = load(package, PACKAGES[package], "/", lambda *arguments, **options: None)
    compared = 0
    for path, method, request, response in calls(recorded, package):
        if request.get("urn") == WRONG_IN_THE_PLUGIN and "preview" in path:
            continue
        olds, news = value(request.get("olds") or {}), value(request.get("news") or {})
        resource = Resource(request.get("urn", ""), request.get("type", ""), request.get("id", ""))
        if method == "CheckConfig":
            assert provider.check_config(resource.urn, olds, news) == (value(response["inputs"]), []), path
        elif method == "Check":
            seed = base64.b64decode(request.get("randomSeed", ""))
            assert provider.check(resource, olds, news, seed) == (value(response["inputs"]), []), path
        elif method == "Diff":
            diff = provider.diff(resource, value(request.get("oldInputs") or {}), olds, news, request.get("ignoreChanges") or [])
            assert diff.changes == {"DIFF_NONE": "none", "DIFF_SOME": "some"}[response["changes"]], path
            assert sorted(diff.diffs) == sorted(response.get("diffs") or []), path
            assert sorted(diff.replaces) == sorted(response.get("replaces") or []), path
            assert diff.stables == (response.get("stables") or []), path
            assert diff.delete_before_replace == response.get("deleteBeforeReplace", False), path
            detailed = {place: KINDS[entry.get("kind", "")] for place, entry in (response.get("detailedDiff") or {}).items()}
            assert {place: entry["kind"] for place, entry in (diff.detailed or {}).items()} == detailed, path
        else:
            continue
        compared += 1
    assert compared > 3


def test_commands_and_random_values_are_made_in_the_recorded_shape(recorded: dict[str, str], tmp_path: Path) -> None:
    volatile = {"id", "result", "bcryptHash", "stdout", "b64Std", "b64Url", "dec", "hex"}
    compared = 0
    for package in ("command", "random"):
        provider = load(package, PACKAGES[package], str(tmp_path), lambda *arguments, **options: None)
        for path, method, request, response in calls(recorded, package):
            if method != "Create" or not response or "sleep" in json.dumps(request) or "assetPaths" in request["properties"]:
                continue
            preview = bool(request.get("preview"))
            resource = Resource(request["urn"], request["type"])
            _, made = provider.create(resource, value(request["properties"]), preview=preview, timeout=0)
            wanted = value(response["properties"])
            assert made.keys() == wanted.keys(), path
            for key in made:
                assert isinstance(made[key], Secret) == isinstance(wanted[key], Secret), (path, key)
                if key not in volatile or preview:
                    assert made[key] == wanted[key], (path, key)
            compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    "step", ["01-create", "02-same", "03-update", "04-replace-trigger", "05-replace-keepers", "07-destroy", "08-destroy-again"]
)
def test_the_display_prints_what_the_cli_printed(recorded: dict[str, str], step: str) -> None:
    folder = f"lifecycle-command/expected/{step}"
    files = {name.rsplit("/", 1)[-1]: text for name, text in recorded.items() if folder in name}
    out = io.StringIO()
    shown = display.open("destroy" if "destroy" in step else "update", "dev", "lifecycle-command", out=out)
    for line in files["events.jsonl"].splitlines():
        shown(json.loads(line))
    shown.close(Result(ok=True))
    text = re.sub(r"Duration: .*", "Duration: $T", re.sub(r"\((\d+s|\d+\.\d\ds)\)", "($T)", out.getvalue()))
    wanted = files["stdout.txt"].split("\nThe resources in the stack have been deleted")[0]
    # The two last rows of a destroy come from a map in Go: either may be first.
    same_lines = sorted(text.rstrip().splitlines()) == sorted(wanted.rstrip().splitlines())
    assert text.rstrip() == wanted.rstrip() or ("destroy" in step and same_lines)
