"""Lock files become packages: each once, with what it needs, its scope and its digest; what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations.build import lockfiles
from operations.build.errors import BuildError
from operations.build.strategies.python import pins

SHA = "sha512-" + "A" * 86 + "=="


def npm_lock(folder: Path, packages: dict[str, Any]) -> Path:
    """A package-lock.json."""
    place = folder / "package-lock.json"
    place.write_text(json.dumps({"lockfileVersion": 3, "packages": {"": {"workspaces": ["web", "docs"]}, **packages}}))
    return place


def test_a_workspace_gets_what_it_and_the_root_ask_for(tmp_path: Path) -> None:
    lock = npm_lock(
        tmp_path,
        {
            "": {"devDependencies": {"tsc": "1"}},
            "web": {"name": "@o/web", "dependencies": {"react": "1", "@o/lib": "*"}, "devDependencies": {"vite": "1"}},
            "docs": {"name": "docs", "dependencies": {"only-docs": "1"}},
            "lib": {"name": "@o/lib", "version": "1.0.0", "dependencies": {"deep": "1"}},
            "node_modules/@o/web": {"resolved": "web", "link": True},
            "node_modules/@o/lib": {"resolved": "lib", "link": True},
            "node_modules/react": {"version": "1.0.0", "dependencies": {"deep": "2"}, "integrity": SHA, "license": "MIT"},
            "node_modules/react/node_modules/deep": {"version": "2.0.0", "dependencies": {"react": "1"}},
            "node_modules/deep": {"version": "1.0.0"},
            "node_modules/vite": {
                "version": "8.0.0",
                "dependencies": {"deep": "1"},
                "devDependencies": {"never": "1"},
                "peerDependencies": {"peer": "1", "optional": "1"},
                "peerDependenciesMeta": {"optional": {"optional": True}},
                "optionalDependencies": {"linux": "1", "missing": "1"},
            },
            "node_modules/peer": {"version": "3.0.0"},
            "node_modules/optional": {"version": "3.0.0"},
            "node_modules/linux": {"version": "4.0.0"},
            "node_modules/tsc": {"version": "5.0.0"},
            "node_modules/only-docs": {"version": "6.0.0"},
            "node_modules/never": {"version": "7.0.0"},
        },
    )
    found = {(p.name, p.version): p for p in lockfiles.npm(lock, "web")}
    assert {key: p.scope for key, p in found.items()} == {
        ("react", "1.0.0"): "required",
        ("deep", "1.0.0"): "required",
        ("deep", "2.0.0"): "required",
        ("vite", "8.0.0"): "excluded",
        ("peer", "3.0.0"): "excluded",
        ("linux", "4.0.0"): "excluded",
        ("tsc", "5.0.0"): "excluded",
    }
    react = found["react", "1.0.0"]
    assert react.needs == (("deep", "2.0.0"),)
    assert react.hashes == (("SHA-512", "0" * 128),)
    assert react.licence == "MIT"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"packages": {}}', '{"packages": {"": 7}}', '{"dependencies": {}}', '{"packages": ["x"]}']
)
def test_what_is_no_npm_lock_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "package-lock.json").write_text(content)
    with pytest.raises(BuildError, match="is no lock file of npm 7 or newer"):
        lockfiles.npm(tmp_path / "package-lock.json", "web")


def test_composers_packages_and_tools_are_told_apart(tmp_path: Path) -> None:
    lock = tmp_path / "composer.lock"
    packages = [{"name": "drupal/core", "version": "v10.1.0", "license": ["GPL-2.0-or-later"], "dist": {"shasum": "ab" * 20}}]
    lock.write_text(
        json.dumps({"packages": packages, "packages-dev": [{"name": "phpunit/phpunit", "version": "9.6.0", "license": ["A", "B"]}]})
    )
    core, unit = lockfiles.composer(lock)
    assert (core.name, core.version, core.scope, core.hashes, core.licence) == (
        "drupal/core",
        "10.1.0",
        "required",
        (("SHA-1", "ab" * 20),),
        "GPL-2.0-or-later",
    )
    assert (unit.name, unit.scope, unit.licence) == ("phpunit/phpunit", "excluded", None)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"packages": [1]}', '{"packages": [{"name": "x"}]}', '{"packages": 7}'])
def test_what_is_no_composer_lock_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "composer.lock").write_text(content)
    with pytest.raises(BuildError, match=r"is no composer\.lock"):
        lockfiles.composer(tmp_path / "composer.lock")


def test_pinned_requirements_are_read_with_hashes_extras_and_markers() -> None:
    text = "# a\nFastAPI==1.0  # b\npsycopg[binary]==3.1\\\n  --hash=sha256:ab\n\nPy_MySQL==1.2.4 ; python_version > '3'\n"
    assert pins(text) == {"fastapi": "1.0", "psycopg": "3.1", "py-mysql": "1.2.4"}


@pytest.mark.parametrize(
    "line", ["fastapi", "fastapi>=1", "-e .", "-r other.txt", "git+https://x/y", "a==1.*", "a @ file:///x", "--index-url https://x"]
)
def test_a_requirement_without_an_exact_version_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2, .* is not of the form name==version"):
        pins(f"ok==1\n{line}\n")


def test_wheels_give_their_digest_to_their_package() -> None:
    [package] = lockfiles.pypi(
        {"psycopg-binary": "3.3"},
        {"psycopg_binary-3.3-cp311-cp311-manylinux.whl": "ab" * 32, "psycopg-3.3-py3-none-any.whl": "cd" * 32},
    )
    assert package.hashes == (("SHA-256", "ab" * 32),)
