"""The view of differences and the JSON digest of a preview."""

from __future__ import annotations

import io
import json
from typing import Any

from embedded import display
from embedded.model import ResourceState, Result
from embedded.values import UNKNOWN as UNKNOWN_VALUE
from embedded.values import Secret
from tests.unit.embedded.display.events import SECRET, STACK, UNKNOWN, done, pre, said, state, summary, urn
from tests.unit.embedded.display.test_progress import PRELUDE, show, stack


def test_a_replacement_is_told_property_by_property_and_its_parts_are_not() -> None:
    provider = "urn:pulumi:dev::p::pulumi:providers:command::default_1_2_1::id"
    old = state("base", id="base1", provider=provider, outputs={"triggers": ["v1"], "create": "a", "environment": {"A": "x"}})
    new = state("base", provider=provider, inputs={"triggers": ["v2"], "create": UNKNOWN, "environment": {}})
    detailed = {
        "triggers[0]": {"diffKind": "update-replace"},
        "create": {"diffKind": "update"},
        "environment.A": {"diffKind": "delete"},
    }
    events = [
        PRELUDE,
        pre("same", old=stack(), new=stack()),
        pre("create-replacement", old=old, new=new, detailedDiff=detailed, logical=False),
        pre("replace", old=old, new=new, detailedDiff=detailed),
        said("a warning", "warning"),
        summary({"replace": 1, "same": 1}, preview=True),
    ]
    assert show("preview", events, diff=True) == (
        "Previewing update (dev):\n"
        "  pulumi:pulumi:Stack: (same)\n"
        f"    [urn={STACK}]\n"
        "    +-command:local:Command: (replace)\n"
        "        [id=base1]\n"
        f"        [urn={urn('base')}]\n"
        f"        [provider={provider}]\n"
        '      ~ create     : "a" => [unknown]\n'
        "      ~ environment: {\n"
        '          - A: "x"\n'
        "        }\n"
        "      ~ triggers   : [\n"
        '          ~ [0]: "v1" => "v2"\n'
        "        ]\n"
        "Resources:\n    +-1 to replace\n    1 unchanged\n\n--- stderr\nwarning: a warning\n"
    ).replace("\n    1 unchanged\n\n", "\n    1 unchanged\n\n")


def test_created_and_deleted_ones_show_what_they_have() -> None:
    made = state("made", inputs={"list": ["a", SECRET], "__defaults": []})
    gone = state("gone", id="g1", inputs={"create": "x"}, protect=True)
    text = show("preview", [PRELUDE, pre("create", new=made), pre("delete", old=gone)], diff=True)
    assert "+ command:local:Command: (create)\n" in text
    assert '    list      : [\n        [0]: "a"\n        [1]: [secret]\n    ]\n' in text
    assert "- command:local:Command: (delete) 🔒\n    [id=g1]\n" in text
    assert '    create: "x"\n' in text
    assert "__defaults" not in text


def test_longer_texts_are_compared_by_lines() -> None:
    before = "\n".join(f"line {number}" for number in range(20))
    old = state("it", outputs={"text": before})
    new = state("it", inputs={"text": before.replace("line 10", "line ten")})
    text = show("preview", [PRELUDE, pre("update", old=old, new=new, detailedDiff={"text": {"diffKind": "update"}})], diff=True)
    assert "      - line 10\n      + line ten\n" in text
    assert "line 13" in text
    assert "line 14" not in text


def test_a_preview_as_json_has_states_reasons_and_masked_secrets() -> None:
    old = ResourceState(
        urn=urn("it"),
        type="command:local:Command",
        custom=True,
        id="it1",
        inputs={"create": "a"},
        outputs={"stdin": Secret("hush")},
    )
    new = ResourceState(
        urn=urn("it"), type="command:local:Command", custom=True, inputs={"create": UNKNOWN_VALUE, "stdin": Secret("hush")}
    )
    step = pre(
        "update",
        old=state("it"),
        new=state("it"),
        diffs=["create"],
        keys=["create"],
        detailedDiff={"create": {"diffKind": "update"}},
    )
    events: list[dict[str, Any]] = [
        PRELUDE,
        {**step, "_states": (old, new)},
        pre("create-replacement", new=state("part"), logical=False),
        said("<b> & co", "warning"),
        said("progress", ephemeral=True),
        summary({"update": 1, "same": 3}, preview=True),
    ]
    out = io.StringIO()
    shown = display.open("preview", "dev", "p", json=True, out=out)
    for event in events:
        shown(event)
    assert out.getvalue() == ""
    shown.close(Result(ok=True))
    assert "hush" not in out.getvalue()
    assert "\\u003cb\\u003e \\u0026 co" in out.getvalue()
    document = json.loads(out.getvalue())
    assert list(document) == ["config", "steps", "diagnostics", "duration", "changeSummary"]
    assert document["changeSummary"] == {"same": 3, "update": 1}
    assert document["diagnostics"] == [{"message": "warning: <b> & co\n", "severity": "warning"}]
    (entry,) = document["steps"]
    assert entry["detailedDiff"] == {"create": {"kind": "update", "inputDiff": False}}
    assert (entry["op"], entry["diffReasons"], entry["replaceReasons"]) == ("update", ["create"], ["create"])
    assert entry["oldState"]["outputs"] == {"stdin": "[secret]"}
    assert entry["newState"]["inputs"] == {"create": UNKNOWN, "stdin": "[secret]"}


def test_a_refresh_tells_the_result_of_each_resource() -> None:
    old, new = state("it", outputs={"limit": 1}, inputs={"limit": 1}), state("it", outputs={"limit": 3}, inputs={"limit": 3})
    detailed = {"limit": {"diffKind": "update"}}
    events = [PRELUDE, pre("refresh", old=old, new=old), done("update", old=old, new=new, detailedDiff=detailed)]
    text = show("preview-refresh", [*events, summary({"update": 1}, preview=True)], diff=True)
    assert text.count("~ command:local:Command: (update)") == 1
    assert "~ limit: 1 => 3" in text
    out = io.StringIO()
    shown = display.open("preview-refresh", "dev", "p", json=True, out=out)
    for event in events:
        shown(event)
    shown.close(Result(ok=True))
    assert [entry["op"] for entry in json.loads(out.getvalue())["steps"]] == ["update"]
