"""The progress view without a terminal, line by line as the CLI prints it."""

from __future__ import annotations

import io
import json
import re
import threading
from typing import Any

import pytest

from embedded import display
from embedded.model import ResourceState, Result
from embedded.values import Archive, Asset, Secret
from tests.unit.embedded.display.events import SECRET, STACK, UNKNOWN, done, pre, said, state, summary, urn


def show(kind: str, events: list[dict[str, Any]], **more: Any) -> str:
    out, err = io.StringIO(), io.StringIO()
    shown = display.open(kind, "dev", "p", out=out, err=err, **more)
    for event in events:
        shown(event)
    shown.close(Result(ok=True))
    text = re.sub(r"\((\d+s|\d+\.\d\ds)\)", "($T)", out.getvalue())
    return text + (f"\n--- stderr\n{err.getvalue()}" if err.getvalue() else "")


def stack(**more: Any) -> dict[str, Any]:
    return state("p-dev", "pulumi:pulumi:Stack", **more)


PRELUDE: dict[str, Any] = {"preludeEvent": {"config": {"p:colour": "green"}}}


def test_a_create_with_what_its_command_prints() -> None:
    stamp = state("stamp", inputs={"create": "x"})
    events = [
        PRELUDE,
        pre("create", new=stack()),
        pre("create", new=stamp),
        said("made", of=urn("stamp"), ephemeral=True),
        done("create", new=stamp),
        done("create", new=stack(outputs={"text": "made", "count": 12})),
        summary({"create": 2}),
    ]
    assert show("update", events) == (
        "Updating (dev):\n"
        "\n"
        " +  pulumi:pulumi:Stack p-dev creating ($T)\n"
        " +  command:local:Command stamp creating ($T)\n"
        " +  command:local:Command stamp creating ($T) made\n"
        " +  command:local:Command stamp created ($T) made\n"
        " +  pulumi:pulumi:Stack p-dev created ($T)\n"
        "Outputs:\n"
        "    count: 12\n"
        '    text : "made"\n'
        "\n"
        "Resources:\n"
        "    + 2 created\n"
        "\n"
        "Duration: 1s\n"
        "\n"
    )


def test_nothing_changes_and_no_line_is_wasted() -> None:
    same = state("stamp", inputs={"create": "x"})
    outputs = {"a": [1, {"b": None}], "c": SECRET}
    events = [
        PRELUDE,
        pre("same", old=stack(outputs=outputs), new=stack()),
        pre("same", old=same, new=same),
        done("same", old=same, new=same),
    ]
    events += [done("same", old=stack(outputs=outputs), new=stack(outputs=outputs)), summary({"same": 2}, seconds=61.2)]
    assert show("update", events) == (
        "Updating (dev):\n\n    pulumi:pulumi:Stack p-dev\nOutputs:\n    a: [\n        [0]: 1\n        [1]: {\n"
        "            b: <null>\n        }\n    ]\n    c: [secret]\n\nResources:\n    2 unchanged\n\nDuration: 1m2s\n\n"
    )


def test_an_update_names_what_differs_and_outputs_show_old_and_new() -> None:
    old = state("stamp", inputs={"create": "a", "environment": {"L": "1"}}, outputs={"create": "a", "environment": {"L": "1"}})
    new = state("stamp", inputs={"create": "a", "environment": {"L": "2"}, "dir": "."})
    detailed = {"environment.L": {"diffKind": "update"}, "dir": {"diffKind": "add"}}
    before, after = {"gone": True, "kept": 1, "text": "old"}, {"kept": 1, "new": UNKNOWN, "text": "new"}
    events = [
        PRELUDE,
        pre("same", old=stack(outputs=before), new=stack()),
        pre("update", old=old, new=new, detailedDiff=detailed, diffs=["dir", "environment"]),
        done("update", old=old, new=new, detailedDiff=detailed, diffs=["dir", "environment"]),
        done("same", old=stack(outputs=before), new=stack(outputs=after)),
        summary({"update": 1, "same": 1}),
    ]
    text = show("update", events)
    assert " ~  command:local:Command stamp updated ($T) [diff: +dir~environment]\n" in text
    assert 'Outputs:\n  - gone: true\n    kept: 1\n  + new : [unknown]\n  ~ text: "old" => "new"\n' in text


def test_failures_stand_under_their_resource_and_are_counted() -> None:
    bad = state("bad", inputs={"create": "x"})
    events = [
        PRELUDE,
        pre("create", new=stack()),
        pre("create", new=bad),
        said('exit status 3: running "x":\nhalf\n', "error", of=urn("bad")),
        {"resOpFailedEvent": pre("create", new=bad)["resourcePreEvent"]},
        said("update failed", "error"),
        said("one\n", "info#err", streamID=2),
        said("two\n", "info#err", streamID=2),
        summary({}),
    ]
    text = show("update", events)
    assert ' +  command:local:Command bad **creating failed** error: exit status 3: running "x":\n' in text
    assert " +  pulumi:pulumi:Stack p-dev **creating failed** 1 error; 2 messages\n" in text
    assert (
        "Diagnostics:\n  pulumi:pulumi:Stack (p-dev):\n    error: update failed\n\n    one\n\n    two\n\n"
        '  command:local:Command (bad):\n    error: exit status 3: running "x":\n    half\n\n'
    ) in text
    assert "    2 errored\n" in text


def test_a_preview_says_what_it_would_do() -> None:
    made = state("stamp", inputs={"create": UNKNOWN})
    gone = state("gone", inputs={})
    events = [
        PRELUDE,
        pre("create", new=made),
        done("create", new=made),
        pre("delete", old=gone),
        summary({"create": 1, "delete": 1}, preview=True),
    ]
    text = show("preview", events)
    assert text.startswith("Previewing update (dev):\n\n +  command:local:Command stamp create\n")
    assert " -  command:local:Command gone delete\n" in text
    assert text.endswith("Resources:\n    + 1 to create\n    - 1 to delete\n    2 changes\n\n")


def test_policies_are_grouped_by_pack_and_a_mandatory_one_ends_the_display() -> None:
    violation = {
        "resourceUrn": urn("loud"),
        "message": "Speak softly.\nloud shouts\n",
        "policyName": "no-shouting",
        "enforcementLevel": "mandatory",
    }
    pack = {"policyPackName": "pack", "policyPackVersion": "0.1.0"}
    advice = {**violation, "policyName": "a-label", "enforcementLevel": "advisory", "severity": "low"}
    mended = {"resourceUrn": urn("loud"), "policyName": "two", **pack, "before": {"n": 1}, "after": {"n": 2}}
    events = [{"policyLoadEvent": {}}, PRELUDE, {"policyEvent": {**advice, **pack}}, {"policyEvent": {**violation, **pack}}]
    events += [{"policyRemediationEvent": mended}, summary({"same": 1}, packs={"pack|local|./policy": "0.1.0", "other": "1.0.0"})]
    text = show("update", events)
    assert text.startswith("Updating (dev):\nLoading policy packs...: starting\nLoading policy packs...: done\n\n")
    assert (
        "Policies:\n    ✅ other@v1.0.0\n    ❌ pack@v0.1.0 (local: ./policy)\n        - [remediate]  two  (1 resource)\n"
        "        - [mandatory]  no-shouting  (command:local:Command: loud)\n          Speak softly.\n          loud shouts\n"
        "        - [advisory] [severity: low]  a-label  (command:local:Command: loud)\n"
    ) in text
    assert "Resources:" not in text


def test_default_providers_and_reads_take_no_line() -> None:
    default = state("default_1_2_1", "pulumi:providers:command")
    seen = state("seen", "random:index/randomId:RandomId")
    events = [
        PRELUDE,
        pre("create", new=default),
        done("create", new=default),
        pre("read", new=seen),
        done("read", new=seen),
        summary({}),
    ]
    text = show("update", events)
    assert "providers" not in text
    assert "    pulumi:pulumi:Stack p-dev  read random:index:RandomId seen\n" in text


def test_what_the_engine_calls_secret_is_masked_in_all_that_is_printed() -> None:
    def mask(text: str) -> str:
        return text.replace("hunter2", "[secret]")

    events = [
        {**PRELUDE, "_mask": mask},
        said("it is hunter2", "error"),
        done("create", new=stack(outputs={"word": "hunter2"})),
        summary({}),
    ]
    for more in ({}, {"diff": True}):
        text = show("update", events, **more)
        assert "hunter2" not in text
        assert "[secret]" in text


def test_live_states_show_secrets_only_on_request() -> None:
    live = ResourceState(urn=STACK, type="pulumi:pulumi:Stack", custom=False, outputs={"word": Secret("hunter2")})
    event = {**done("create", new=stack(outputs={"word": SECRET})), "_states": (None, live)}
    assert "hunter2" not in show("update", [PRELUDE, event, summary({})])
    assert 'word: "hunter2"' in show("update", [PRELUDE, event, summary({})], options={"show_secrets": True})


def test_outputs_of_every_kind() -> None:
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "hash": "0123456789", "path": "a.txt"}
    live = ResourceState(
        urn=STACK,
        type="pulumi:pulumi:Stack",
        custom=False,
        outputs={
            "archive": Archive({"hash": "abcdefgh", "assets": {"one": Asset({"hash": "99999999", "text": "inside"})}}),
            "big": 12345678901234568,
            "json": '{"b": [1]}',
            "real": 2.5,
            "whole": 3.0,
            "text": 'ü "q" \\ \x07',
            "lines": "one\ntwo: 2\n",
        },
    )
    text = show("update", [PRELUDE, {**done("create", new=stack()), "_states": (None, live)}, summary({})])
    assert "    big    : 12345678901234568\n" in text
    assert (
        '    archive: archive(assets:abcdefg) {\n        "one": asset(text:9999999) {\n            <contents elided>\n        }\n    }\n'
        in text
    )
    assert "    json   : (json) {\n        b: [\n            [0]: 1\n        ]\n    }\n" in text
    assert '    text   : "ü \\"q\\" \\\\ \\a"\n' in text
    assert "    real   : 2.5\n" in text
    assert "    whole  : 3\n" in text
    text = show("update", [PRELUDE, done("create", new=stack(outputs={"file": asset})), summary({})])
    assert "    file: asset(file:0123456) { a.txt }\n" in text


def test_colours_are_terminal_codes_or_nothing() -> None:
    events = [PRELUDE, pre("create", new=state("stamp")), summary({"create": 1})]
    assert "\x1b" not in show("update", events)
    assert "\x1b[38;5;2m+ " in show("update", events, color=True)
    assert "<{%" not in show("update", events, color=True)


def test_events_may_come_from_many_threads() -> None:
    out = io.StringIO()
    shown = display.open("update", "dev", "p", out=out)
    shown(PRELUDE)

    def send(number: int) -> None:
        for part in range(20):
            shown(pre("create", new=state(f"r{number}-{part}")))
            shown(done("create", new=state(f"r{number}-{part}")))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown.close(Result(ok=True))
    lines = out.getvalue().splitlines()
    assert len([line for line in lines if " created " in line]) == 160
    assert all(line.startswith((" +  command", "Updating", "    pulumi")) or not line for line in lines)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"cancelEvent": {}},
        {"newEvent": {"x": 1}},
        {"diagnosticEvent": {"message": "\x1b[2J\x07bell", "severity": "info"}},
        {"resourcePreEvent": {"metadata": {"op": "transmogrify", "urn": urn("x"), "type": "t", "old": None, "new": None}}},
        {
            "resourcePreEvent": {
                "metadata": {
                    "op": "update",
                    "urn": "not a urn",
                    "type": "t",
                    "old": state("x"),
                    "new": state("x"),
                    "detailedDiff": {"[": {}},
                }
            }
        },
        {"summaryEvent": {}},
    ],
)
@pytest.mark.parametrize("more", [{}, {"diff": True}, {"json": True}])
def test_events_of_another_engine_do_not_break_the_display(event: dict[str, Any], more: dict[str, Any]) -> None:
    assert show("preview", [PRELUDE, event, summary({}, preview=True)], **more)


def test_up_json_is_one_event_a_line_without_what_is_for_the_display() -> None:
    out = io.StringIO()
    shown = display.open("update", "dev", "p", json=True, out=out)
    shown({**PRELUDE, "_mask": str, "sequence": 7, "timestamp": 8})
    shown({**done("create", new=stack()), "_states": (None, None)})
    shown.close(Result(ok=True))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines[0] == {"sequence": 7, "timestamp": 8, **PRELUDE}
    assert list(lines[1]) == ["sequence", "timestamp", "resOutputsEvent"]
