"""What comes from outside is checked before it becomes a path, a shell word or a statement."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.manifest import File, Link, Manifest, is_of, release_id
from components.remote.client import connection, env, mariadb_account, request
from components.remote.client.artefact import Absent, Artefact, compare, find
from components.remote.client.channel import Reply, encode, words
from components.remote.client.failure import Failure
from components.remote.client.manifest import VerifiedManifest, verified

PROJECT = Path(__file__).resolve().parents[3]
RUN = PROJECT / "components" / "remote" / "run"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_characters="\0\n\r", blacklist_categories=["Cs"])), min_size=1, max_size=4))
def test_words_come_back_from_a_shell_as_they_were(arguments: list[str]) -> None:
    script = encode({"x": words(arguments)}) + b'eval "set -- $q_x"; for a; do printf "%s\\n" "$a"; done'
    shown = subprocess.run(["dash", "-s"], input=script, capture_output=True, check=True).stdout
    assert shown.decode().split("\n")[:-1] == arguments


def test_a_line_break_never_becomes_a_line_of_the_request() -> None:
    with pytest.raises(Failure, match="line break"):
        encode({"target": "a\nq_root='/'"})


@pytest.mark.parametrize("path", ["", "/etc", "..", "a/../b", "a//b", "a/./b", "a\nb", "a\\b", None, 3])
def test_paths_stay_below_the_root(path: object) -> None:
    with pytest.raises(Failure):
        request.relative(path, "target")


@pytest.mark.parametrize("value", ["", "r", "r" + "g" * 16, "../../etc", "r0123456789abcde\n", "R0123456789abcdef"])
def test_only_release_ids_are_releases(value: str) -> None:
    with pytest.raises(Failure):
        request.release({"release": value})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "name": "h", "address": "-oProxyCommand=x"}',
        "[" * 100000,
    ],
)
def test_a_broken_connection_is_a_sentence(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MO_STATE_DIR", str(tmp_path))
    (tmp_path / "connection.json").write_text(text)
    with pytest.raises(Failure):
        connection.load("sandbox")


@pytest.mark.parametrize(
    "change",
    [{"address": "-oProxyCommand=touch x"}, {"user": "a b"}, {"root": "relative"}, {"host_keys": []}, {"host_keys": ["a\nb c"]}],
)
def test_a_connection_cannot_smuggle_options_into_ssh(
    change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MO_STATE_DIR", str(tmp_path))
    good = {"version": 1, "name": "h", "address": "::1", "port": 22, "user": "u", "root": "/r", "host_keys": ["ssh-ed25519 AAAA"]}
    (tmp_path / "connection.json").write_text(json.dumps(good))
    assert connection.load("sandbox").address == "::1"
    (tmp_path / "connection.json").write_text(json.dumps(good | change))
    with pytest.raises(Failure):
        connection.load("sandbox")


@pytest.mark.parametrize(
    "stdin", ["", "{", "[]", "null", "3", '{"protocol": 2}', "{}", '{"stack": "x", "service": "../x"}', "\xff" * 1000]
)
@pytest.mark.parametrize("step", ["stage", "health"])
def test_a_broken_request_is_one_sentence_and_exit_code_1(step: str, stdin: str, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "MO_STATE_DIR": str(tmp_path)}
    done = subprocess.run([str(RUN), step], input=stdin.encode("latin-1"), capture_output=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


def test_a_start_imports_little() -> None:
    code = (
        "import sys; sys.path.insert(0, 'components/remote'); "
        "import client.switch, client.stage, client.env, client.health, client.facts; print(*sys.modules)"
    )
    done = subprocess.run(["python3", "-I", "-S", "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    loaded = set(done.stdout.split())
    assert "client.switch" in loaded
    assert not loaded & {
        "typing",
        "dataclasses",
        "inspect",
        "ssl",
        "hashlib",
        "http",
        "email",
        "pathlib",
        "tempfile",
        "shutil",
        "random",
        "pymysql",
    }


def test_secrets_are_rendered_sorted_and_quoted() -> None:
    assert env.render({"B": "it's", "A": "$x"}, "votes") == b"A='$x'\nB='it'\\''s'\n"


@pytest.mark.parametrize("variables", [[], None, {"A": 1}, {"1A": "x"}, {"A-B": "x"}, {"A": "x\ny"}, {"A": "x\0"}, {"": "x"}])
def test_what_cannot_be_a_variable_is_refused(variables: object) -> None:
    with pytest.raises(Failure):
        env.render(variables, "votes")


def test_a_reply_keeps_its_last_lines_and_its_steps() -> None:
    reply = Reply()
    for n in range(100):
        reply.take(f"noise {n}")
    for line in ["@step one", "@step\ttwo", "@file\ta\tb", "|output", "@fail\tbecause"]:
        reply.take(line)
    reply.end()
    assert len(reply.noise) == 10
    assert reply.failure == "because"
    assert reply.output == ["output"]
    assert reply.all("file") == [["a", "b"]]


def _artefact(tmp_path: Path, **more: object) -> Artefact:
    (tmp_path / "tree").mkdir(exist_ok=True)
    (tmp_path / "tree/a").write_text("x")
    (tmp_path / "tree/a").chmod(0o644)
    return Artefact(str(tmp_path), _manifest(files=[{"path": "a", "size": 1, "sha256": "0" * 64, "mode": "644", **more}]))


def _manifest(**raw: Any) -> VerifiedManifest:
    """A manifest with the id of its lists."""
    text = json.dumps({"service": "votes", "links": [], **raw}).encode()
    made = Manifest(
        service="votes",
        release="adopted",
        files=tuple(File(**file) for file in raw["files"]),
        links=tuple(Link(**link) for link in raw.get("links", ())),
    )
    release = release_id(made.files, made.links, {})
    return verified(text.replace(b"{", b'{"release": "%s", ' % release.encode(), 1), "votes", release, "here", "again")


def test_the_id_of_a_manifest_is_that_of_the_catalogue() -> None:
    """Both sides make the digest: other words for a path, a link, an input that JSON escapes would part them."""
    files = tuple(File(path=path, size=1, sha256="0" * 64, mode="755") for path in ("b", "a/ä\U0001f600", 'q"\x7f'))
    links = (Link(path="l", target="a/ä"),)
    inputs = {"z": [1, 2.5, None, True], "a": {"ü": "\x1f"}}
    release = release_id(files, links, inputs)
    made = Manifest(service="votes", release=release, files=files, links=links, build_inputs=inputs)
    assert is_of(made, "votes", release)
    text = made.model_dump_json(indent=1).encode()
    assert verified(text, "votes", release, "", "").release == release
    for service, wanted in (("docs", release), ("votes", "r" + "0" * 16)):
        assert not is_of(made, service, wanted)
        with pytest.raises(Failure, match="is not the manifest of release"):
            verified(text, service, wanted, "here", "again")


def test_an_artefact_that_is_not_its_manifest_is_refused(tmp_path: Path) -> None:
    compare(_artefact(tmp_path), "votes")
    for change in ({"size": 2}, {"mode": "755"}, {"path": "b"}, {"path": "../a"}, {"path": "a\nb"}):
        with pytest.raises((Failure, ValidationError)):
            compare(_artefact(tmp_path, **change), "votes")
    (tmp_path / "tree/release.json").write_text("{}")
    with pytest.raises(Failure, match=r"release\.json"):
        compare(_artefact(tmp_path), "votes")


def test_an_artefact_is_found_by_its_release_in_dist_or_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MO_DIST_DIR", str(tmp_path))
    one, two = (_manifest(files=[{"path": "a", "size": 1, "sha256": digit * 64, "mode": "644"}]) for digit in "12")
    for folder, made in ((tmp_path / "votes", one), (tmp_path / ".store/votes" / two.release, two)):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(made.text)
    assert find("votes", one.release).tree == f"{tmp_path}/votes/tree"
    assert find("votes", two.release).tree == f"{tmp_path}/.store/votes/{two.release}/tree"
    with pytest.raises(Absent, match="r3"):
        find("votes", "r3")
    (tmp_path / "votes/manifest.json").write_bytes(one.text.replace(b'"1111', b'"2222'))
    with pytest.raises(Failure, match="is not the manifest of release"):
        find("votes", one.release)
    (tmp_path / "votes/manifest.json").write_text("{")
    with pytest.raises(Failure, match="no manifest"):
        find("votes", one.release)


def test_rights_beyond_the_own_database_are_found() -> None:
    grants = [
        "GRANT USAGE ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD '*00'",
        "GRANT ALL PRIVILEGES ON `mo\\_votes`.* TO `u`@`h` WITH GRANT OPTION",
        "GRANT SELECT (a, b), INSERT ON `other`.`t` TO `u`@`h`",
        "GRANT PROCESS, FILE ON *.* TO `u`@`h` WITH GRANT OPTION",
        "GRANT `role` TO `u`@`h`",
    ]
    assert mariadb_account.excess(grants, "`mo\\_votes`.*", "ALL PRIVILEGES") == [
        "GRANT OPTION ON `mo\\_votes`.*",
        "SELECT (a, b), INSERT ON `other`.`t`",
        "GRANT OPTION, PROCESS, FILE ON *.*",
        "`role`",
    ]
    narrow = mariadb_account.excess(grants[1:2], "`mo\\_votes`.*", "INSERT, SELECT")[0]
    assert "SELECT" not in narrow.replace("GRANT OPTION, ", "").split(", ")
    assert "DROP" in narrow


@pytest.mark.parametrize("target", ["../../secrets.env", "/etc/passwd", "..", "b/../../x"])
def test_a_link_that_leads_out_of_the_artefact_is_refused(tmp_path: Path, target: str) -> None:
    _artefact(tmp_path)
    (tmp_path / "tree/l").symlink_to("a")
    files = [{"path": "a", "size": 1, "sha256": "0" * 64, "mode": "644"}]
    compare(Artefact(str(tmp_path), _manifest(files=files, links=[{"path": "l", "target": "a"}])), "votes")
    artefact = Artefact(str(tmp_path), _manifest(files=files, links=[{"path": "l", "target": target}]))
    with pytest.raises(Failure, match="not the link"):
        compare(artefact, "votes")
    (tmp_path / "tree/l").unlink()
    (tmp_path / "tree/l").symlink_to(target)
    with pytest.raises(Failure, match="leads out"):
        compare(artefact, "votes")
