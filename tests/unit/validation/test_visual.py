"""Pictures of the frontend: the first are kept, an equal page passes, a changed one is shown, and data never differ."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from operations.validation import visual
from tests.unit.validation.site import Small, small_site, validation


@pytest.fixture(scope="module")
def site() -> Iterator[Small]:
    with small_site() as small:
        yield small


def picture(size: tuple[int, int] = (100, 100), colour: str = "white", dot: int = 0) -> bytes:
    made = Image.new("RGB", size, colour)
    made.paste("black", (0, 0, dot, 1))
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


@pytest.mark.slow
def test_pages_are_compared_with_what_the_first_good_deploy_kept(tmp_path: Path, site: Small) -> None:
    here = validation(tmp_path, ("frontend", "api"), site.port)
    first = visual.run(here)
    assert first.summary.startswith("0 of 3 pages look as before, not compared for want of a baseline: home, login, dashboard;")
    assert (first.ok, first.word, first.sign) == (True, "not compared", "·"), "what was not compared has not passed"
    assert sorted(p.name for p in (tmp_path / "baselines" / "sandbox").iterdir()) == ["dashboard.png", "home.png", "login.png"]
    site.release = "r2, which is another one"
    second = visual.run(here)
    assert (second.ok, second.word, second.summary) == (True, "ok", "3 of 3 pages look as before")
    assert not [line for line in site.asked if "api." in line], "the pictures ask nothing of the API"
    site.colour = "tan"
    third = visual.run(here)
    assert (third.ok, third.rollback) == (False, None)
    assert "home: " in third.summary
    shown = Image.open(here.folder / "home-difference.png")
    assert shown.convert("RGB").getpixel((1200, 700)) == (220, 0, 0)
    assert visual.accept(here) == ["home", "login", "dashboard"]
    assert visual.run(here).ok


@pytest.mark.slow
def test_a_page_that_cannot_be_drawn_leaves_no_baseline(tmp_path: Path, site: Small) -> None:
    site.status = 500
    try:
        found = visual.run(validation(tmp_path, ("frontend",), site.port))
    finally:
        site.status = 200
    assert not found.ok
    assert "home: answers 500" in found.summary
    assert not (tmp_path / "baselines").exists()


def test_without_a_frontend_or_a_browser_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visual.run(validation(tmp_path, ("votes",))).ok
    monkeypatch.setenv("PATH", str(tmp_path))
    found = visual.run(validation(tmp_path, ("frontend",)))
    assert (found.ok, found.rollback) == (False, None)
    assert "There is no Chromium" in found.summary


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (picture(), picture(), 0.0),
        (picture(), picture(dot=50), 0.5),
        (picture(), picture(colour="#f0f0f0"), 0.0),
        (picture(), picture((100, 125)), 20.0),
        (picture((200, 100)), picture((100, 100)), 50.0),
    ],
)
def test_the_share_of_differing_pixels(before: bytes, after: bytes, percent: float) -> None:
    found, drawn = visual.difference(before, after)
    assert found == pytest.approx(percent)
    assert drawn is not None


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_a_baseline_that_is_no_picture_is_named_and_never_equal(tmp_path: Path, site: Small, cut: int) -> None:
    percent, drawn = visual.difference(picture()[:cut], picture())
    assert (percent, drawn) == (100.0, None)


@pytest.mark.slow
def test_a_damaged_baseline_fails_its_page(tmp_path: Path, site: Small) -> None:
    place = tmp_path / "baselines" / "sandbox" / "home.png"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no picture")
    found = visual.run(validation(tmp_path, ("frontend",), site.port))
    assert not found.ok
    assert "home.png is no picture; remove it" in found.summary
    assert place.read_bytes() == b"no picture"
