"""Host programs wait for their client in one place, which knows of silence, and the client knows which lines are questions."""

from __future__ import annotations

import re
from pathlib import Path

from components.remote.client.channel import QUESTIONS

HOST = Path(__file__).resolve().parents[3] / "components/remote/host"
TEXTS = {path.name: path.read_text() for path in HOST.iterdir() if path.suffix == ""}
ALONE = re.compile(r"^\s*(?:IFS=\S* )?read -r \w+(?: \|\|.*)?$", re.MULTILINE)
"""A ``read`` of one line from the program's own input: neither a loop over a pipe or file nor in front of ``<``."""


def test_nothing_but_hear_waits_for_an_answer() -> None:
    found = {(name, match[0].strip()) for name, text in TEXTS.items() for match in ALONE.finditer(text) if "<" not in match[0]}
    # The second line of the lock's own file, in a block that reads from it.
    assert found == {("common", "IFS= read -r heard || {"), ("lock", "IFS= read -r owner")}


def test_the_client_shows_that_it_lives_while_it_answers_any_question() -> None:
    asked = set()
    for text in TEXTS.values():
        lines = text.split("\n")
        for number, line in enumerate(lines):
            if re.search(r"\bhear\b(?! *\()", line) and not line.lstrip().startswith("#"):
                words = [
                    match[1] for before in lines[max(0, number - 4) : number + 1] for match in re.finditer(r"\bsay (\w+)", before)
                ]
                asked.add(words[-1])
    assert asked - {"waiting"} == set(QUESTIONS) - {"decide"}
    assert any("say decide" in text for text in TEXTS.values())
