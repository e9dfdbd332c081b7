"""The live tree: what a frame holds, and that it is drawn in place."""

from __future__ import annotations

import io
import re
import time
from typing import Any

from embedded import display
from embedded.display import markup
from embedded.model import Result
from tests.unit.embedded.display.events import STACK, done, pre, said, state, summary, urn
from tests.unit.embedded.display.test_progress import PRELUDE, stack


def run(events: list[dict[str, Any]], pause: float = 0.0) -> str:
    out = io.StringIO()
    shown = display.open("update", "dev", "p", interactive=True, out=out)
    for event in events:
        shown(event)
        time.sleep(pause)
    shown.close(Result(ok=True))
    return out.getvalue()


def final(text: str) -> list[str]:
    """The last frame."""
    frame = text.rsplit("\x1b[J", 1)[0]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame[frame.rfind("\x1b[J") + 1 :]).replace("\r", "")
    return plain[plain.index("    Type") :].splitlines()


def test_children_stand_below_their_parents_and_hidden_rows_only_where_needed() -> None:
    room = {**state("room", "demo:furniture:Room"), "custom": False}
    table = state("table", parent=room["urn"])
    quiet = state("quiet")
    lamp = state("lamp")
    events = [PRELUDE, pre("same", old=stack(), new=stack()), pre("same", old=room, new=room), pre("same", old=quiet, new=quiet)]
    events += [pre("create", new=table), done("create", new=table), pre("update", old=lamp, new=lamp), summary({"create": 1})]
    lines = [line.rstrip() for line in final(run(events))]
    assert [re.sub(r"\(.*?\)", "(…)", line) for line in lines] == [
        "    Type                         Name   Status",
        "    pulumi:pulumi:Stack          p-dev",
        "    ├─ demo:furniture:Room       room",
        " +  │  └─ command:local:Command  table  created (…)",
        " ~  └─ command:local:Command     lamp   updating (…)",
    ]


def test_frames_are_drawn_over_each_other_while_it_runs() -> None:
    one = state("one")
    text = run(
        [PRELUDE, pre("create", new=stack()), pre("create", new=one), said("half way", of=urn("one"), ephemeral=True)], pause=0.12
    )
    assert "half way" in text
    assert re.search(r"\x1b\[\d+A", text)
    assert "half way" not in "\n".join(final(text))


def test_what_a_program_prints_cannot_move_the_cursor() -> None:
    text = run([PRELUDE, said("\x1b[2J\x1b[10Aevil\x07", "warning", of=STACK), summary({})], pause=0.12)
    assert "evil" in text
    assert "\x1b[2J" not in text
    assert "\x1b[10A" not in text
    assert "\x07" not in text


def test_a_replacement_is_one_row_at_the_end() -> None:
    old, new = state("it", inputs={"a": 1}), state("it", inputs={"a": 2})
    events = [PRELUDE]
    for op in ("create-replacement", "replace", "delete-replaced"):
        events += [pre(op, old=old, new=new), done(op, old=old, new=new)]
    assert any(re.match(r" \+-.*it.*replaced \(.*\) *\[diff: ~a\]", line) for line in final(run(events)))


def test_clipping_counts_columns_and_keeps_colours() -> None:
    assert markup.plain_text(markup.clip(markup.RED + "abcdef" + markup.RESET, 3)) == "abc"
    assert markup.width("日本" + markup.BOLD + "e\u0301") == 5
    assert markup.clip("日本", 3) == "日" + markup.RESET
