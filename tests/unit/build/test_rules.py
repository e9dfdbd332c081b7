"""What no artefact may hold is left out or refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from operations.build import rules, tree
from operations.build.errors import RefusedError

from .monorepo import Monorepo, service

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "config/.env.production",
        "secrets.env",
        "id_rsa",
        "deep/er/id_ed25519",
        "tls.key",
        "Cert.P12",
        ".htpasswd",
        ".npmrc",
        "auth.json",
        "backup.sql.gz",
        "db.dump",
        "dump.sql",
        "2026_dump.sql",
        "release.json",
    ],
)
def test_a_file_of_a_forbidden_name_stops_the_build_and_is_named(monorepo: Monorepo, path: str) -> None:
    monorepo.write("s/index.html")
    monorepo.write(f"s/{path}", "x")
    error = monorepo.error(s=service("s"))
    assert error.startswith("s: its artefact would hold ")
    assert path in error
    assert not (monorepo.out / "s").exists()


@pytest.mark.parametrize(
    "path", [".env.example", "keys.html", "environment.php", "monkey.js", "a.sql", "cacert.pem", ".htaccess", ".well-known/x"]
)
def test_a_harmless_file_of_a_similar_name_is_packed(monorepo: Monorepo, path: str) -> None:
    monorepo.write(f"s/{path}", "-----BEGIN CERTIFICATE-----\n")
    assert monorepo.states(s=service("s")) == {"s": "built"}
    assert (monorepo.out / "s/tree" / path).is_file()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("ca.pem", KEY, "a private key"),
        ("notes.txt", "here it is:\n-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("a.sql", "-- MariaDB dump 10.19  Distrib 10.11\n--\n", "a database dump"),
        ("b.sql", "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "a database dump"),
        ("c.sql", "--\n-- PostgreSQL database dump\n--\n", "a database dump"),
        ("d.bin", "PGDMP\x01", "a database dump"),
    ],
)
def test_a_file_of_forbidden_content_stops_the_build(monorepo: Monorepo, name: str, content: str, reason: str) -> None:
    monorepo.write(f"s/{name}", content)
    assert f"{name} ({reason})" in monorepo.error(s=service("s"))


def test_what_only_a_checkout_has_is_left_out(monorepo: Monorepo) -> None:
    for path in (
        "index.html",
        ".git/HEAD",
        "sub/.git",
        "debug.log",
        "a/b/npm-debug.log",
        "node_modules/x/index.js",
        "__pycache__/a.pyc",
        ".DS_Store",
    ):
        monorepo.write(f"s/{path}")
    outcome = monorepo.build(s=service("s")).outcomes["s"]
    assert outcome.manifest
    assert [file.path for file in outcome.manifest.files] == [".htaccess", "index.html"]
    assert {".git", "debug.log", "a/b/npm-debug.log", "node_modules"} <= set(outcome.left_out)


def test_excludes_and_persistent_paths_are_left_out(monorepo: Monorepo) -> None:
    for path in ("index.php", "tests/a.php", "src/tests/b.php", "x/cache/c", "files/upload.png", "x/files/kept.png", "id_rsa"):
        monorepo.write(f"s/{path}", "<?php\n")
    outcome = monorepo.build(s=service("s", excludes=["/tests", "cache/", "id_*"], persistent=["files"])).outcomes["s"]
    assert outcome.manifest
    assert [file.path for file in outcome.manifest.files] == [".htaccess", "index.php", "src/tests/b.php", "x/files/kept.png"]


@pytest.mark.parametrize(
    ("pattern", "path", "directory", "expected"),
    [
        ("*.md", "docs/a.md", False, True),
        ("*.md", "docs/a.md.txt", False, False),
        ("/a", "b/a", False, False),
        ("/a", "a", False, True),
        ("a/", "a", False, False),
        ("a/", "x/a", True, True),
        ("a*b", "a/b", False, False),
        ("a**b", "a/x/b", False, True),
        ("?", "ab", False, False),
        ("[x]", "[x]", False, True),
        ("a", "a\n", False, False),
    ],
)
def test_excludes_match_as_rsync_does(pattern: str, path: str, directory: bool, expected: bool) -> None:
    assert rules.Excludes([pattern]).match(path, directory) is expected


def test_links_inside_the_tree_are_kept_and_others_refused(monorepo: Monorepo) -> None:
    monorepo.write("s/a/file")
    monorepo.write("outside")
    (monorepo.source / "s/b").symlink_to("a")
    (monorepo.source / "s/c").symlink_to("a/file")
    built = monorepo.build(s=service("s")).outcomes["s"].manifest
    assert built
    assert [(link.path, link.target) for link in built.links] == [("b", "a"), ("c", "a/file")]
    assert os.readlink(monorepo.out / "s/tree/c") == "a/file"
    for name, target in {
        "out": "../outside",
        "absolute": str(monorepo.source / "s/a/file"),
        "nowhere": "missing",
        "up": "a/../../outside",
        "me": "me",
    }.items():
        (monorepo.source / "s" / name).symlink_to(target)
    error = monorepo.error(s=service("s"))
    for name in ("out", "absolute", "nowhere", "up", "me"):
        assert f"{name} (a link " in error
    assert "b (" not in error


def test_a_link_to_what_is_left_out_is_refused(monorepo: Monorepo) -> None:
    monorepo.write("s/index.html")
    monorepo.write("s/debug.log")
    (monorepo.source / "s/latest").symlink_to("debug.log")
    assert "latest" in monorepo.error(s=service("s"))


def test_special_files_are_refused(monorepo: Monorepo) -> None:
    monorepo.write("s/index.html")
    os.mkfifo(monorepo.source / "s/pipe")
    names = ["pipe"]
    if os.geteuid() == 0:
        os.mknod(monorepo.source / "s/null", 0o020666, os.makedev(1, 3))
        names.append("null")
    error = monorepo.error(s=service("s"))
    for name in names:
        assert f"{name} (neither a file, a directory nor a link)" in error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"a\nb", "a control character"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\\b", "a backslash"),
        (b"tab\there", "a control character"),
        (b"\x1b[31m", "control"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_hostile_name_is_refused_and_shown_harmless(monorepo: Monorepo, name: bytes, reason: str, kind: str) -> None:
    monorepo.write("s/index.html")
    place = os.fsencode(monorepo.source / "s") + b"/" + name
    if kind == "folder":
        os.mkdir(place)
        place += b"/file"
    with open(place, "wb"):
        pass
    error = monorepo.error(s=service("s"))
    assert reason in error
    assert error.isprintable()
    error.encode("utf-8")


@pytest.mark.parametrize(
    "name", ["it's", 'a "quoted" one', "$(touch x)", "ä ö", "-rf", "*", "名前", "a;b|c&d", "x" * 255, " lead", "%2e"]
)
def test_a_strange_but_honest_name_is_kept(monorepo: Monorepo, name: str) -> None:
    monorepo.write(f"s/{name}", "x")
    built = monorepo.build(s=service("s")).outcomes["s"].manifest
    assert built
    assert [file.path for file in built.files] == sorted([".htaccess", name])
    assert (monorepo.out / "s/tree" / name).read_text() == "x"


def test_every_bad_name_is_told_at_once(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.key").touch()
    with pytest.raises(RefusedError, match=r"09\.key \(a private key\) and 20 more; remove") as refused:
        tree.listing(tmp_path, "s")
    assert len(refused.value.names) == 30
