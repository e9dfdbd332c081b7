"""The catalogue is right as it stands, and every mistake in one is a sentence that names file, line, service and key."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from catalog import reader

GOOD = reader.DEFAULT.read_text()


def _refused(text: str | bytes) -> list[str]:
    with pytest.raises(reader.CatalogError) as caught:
        reader.parse(text)
    assert all(len(p) < 600 and "\n" not in p for p in caught.value.problems)
    return caught.value.problems


def test_the_catalogue_has_all_services_and_each_stack_its_own() -> None:
    catalog = reader.read()
    assert len(catalog.services) == 22
    assert len(catalog.of_stack("production")) == 20
    assert set(catalog.of_stack("staging")) == {"api_stg", "admin_stg"}
    assert len(catalog.of_stack("sandbox")) == 22
    assert set(catalog.of_stack("staging", ("docs",))) == {"api_stg", "admin_stg", "docs"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "technology: static",
            "technology: statik",
            "services.yaml:8: service main: technology is 'statik'; allowed: static, php, fastapi",
        ),
        (
            "    title: Website",
            "    titel: Website",
            "services.yaml:5: service main: titel is not a known key (did you mean title?); allowed: ",
        ),
        ("    title: Website\n", "", "service main: title is missing."),
        ("title: Website", "title: 5", "services.yaml:5: service main: title is 5; it must be text."),
        ("title: Website", "title: [a]", "service main: title is a list; it must be text."),
        (
            "    steps:\n      migrate: {kind: sql",
            "    steps: 7\n    x:\n      migrate: {kind: sql",
            "service votes: steps is 7; it must be a mapping.",
        ),
        (
            "build: {kind: php,",
            "build: {kind: cobol,",
            "service votes: build.kind is 'cobol'; allowed: copy, php, npm, vite, typescript, python.",
        ),
        ("after: [api]", "after: [apix]", "service frontend: after[0] names apix, which is no service of this catalogue."),
        ("host: votes", "host: support", "service support: host is 'support', as that of service votes; each must be its own."),
        (
            "path: frontend",
            "path: subdomains/votes/httpdocs",
            "service frontend: path is 'subdomains/votes/httpdocs', as that of service votes",
        ),
        (
            "persistent: [uploads]",
            "persistent: [uploads/a, uploads]",
            "service main: persistent[0] is 'uploads/a', inside another persistent path of this service",
        ),
        (
            "path: frontend",
            "path: subdomains/votes/httpdocs/new",
            "service frontend: path is 'subdomains/votes/httpdocs/new', inside the path",
        ),
        ("path: frontend", "path: ../etc", "service frontend: path is '../etc'; it must match "),
        ("path: frontend", "path: /etc", "service frontend: path is '/etc'; it must match "),
        ("name: mo_votes", "name: mo_forum", "service forum: database.name is 'mo_forum', as that of service votes"),
        ("user: svc_votes", "user: svc_forum", "service forum: database.user is 'svc_forum', as that of service votes"),
        ("name: mo_votes", "name: votes", "service votes: database.name is 'votes'; it must begin with mo_."),
        ("user: svc_votes", "user: votes", "service votes: database.user is 'votes'; it must begin with svc_."),
        (
            "server: external-postgresql, name: mo_api,",
            "server: plesk, name: mo_api,",
            "service api: database.server is 'plesk', which is no postgresql server; allowed: external-postgresql.",
        ),
        (
            "kind: sql, mode: online, directory: migrations",
            "kind: sql, mode: online",
            "service votes: steps.migrate.directory is missing;",
        ),
        (
            "    health: {daemon: {path: /ready, contains: ready}}\n",
            "",
            "service logs: health.daemon is missing; of an external service",
        ),
        (
            "    health: {path: /health,",
            "    health: {daemon: {path: /x}, path: /health,",
            "health.daemon is of external services; the runtime is process",
        ),
        ("version: 1", "version: 2", "services.yaml:2: version is 2; allowed: 1."),
        ("  main:", "  Main:", "service Main is 'Main'; it must match"),
    ],
)
def test_a_mistake_is_one_sentence(old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert any(said in problem for problem in _refused(GOOD.replace(old, new, 1)))


def test_a_circle_is_shown() -> None:
    (problem,) = _refused(GOOD.replace("    source: services/idp\n", "    source: services/idp\n    after: [frontend]\n"))
    assert problem.endswith("service idp: after makes a circle: idp after frontend after api after idp.")


def test_all_mistakes_are_told_at_once() -> None:
    broken = GOOD.replace("technology: static", "technology: x", 1).replace("runtime: php", "runtime: perl", 1)
    assert len(_refused(broken)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "services.yaml is empty."),
        (b"# nothing\n", "services.yaml is empty."),
        (b"version: 1\nservices: \xff", "services.yaml:2: byte 21 is not UTF-8"),
        (b"\xef\xbb\xbf[1]", "a catalogue is a mapping with version and services, not a list."),
        (b"just text", "not 'just text'."),
        (b"version: 1\nservices: {}\n", "services is empty; a catalogue has at least one service."),
        (b"version: 1\nservices: [", "not valid YAML"),
        (b"a: &x [1, 2]\nb: [*x, *x]", "services.yaml:1: anchors and aliases are not allowed"),
        (b"a: *x", "services.yaml:1: anchors and aliases are not allowed"),
        (b"a: !!python/object/apply:os.system [id]", "the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed"),
        (b"version: 1\nversion: 1", "services.yaml:2: version stands here a second time (first in line 1)."),
        (b"version: 1\n---\nversion: 1", "a second document begins here"),
        (b"? [a]\n: b", "a key must be a word"),
        (b"[" * 5000, "nested deeper than 20 levels"),
        (b"a: [" + b"1," * 60_000 + b"1]", "more than 50000 values"),
        (b"x: " + b"a" * 300, "services.yaml:1: x is not a known key"),
        (b"a: 2001-99-99", "'2001-99-99' is not a valid value"),
        (b"a: \x00", "not valid YAML"),
    ],
)
def test_a_hostile_or_damaged_file_is_refused(text: bytes, said: str) -> None:
    assert any(said in problem for problem in _refused(text))


def test_a_huge_file_and_an_absent_one_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(reader.CatalogError, match="larger than 1024 KiB"):
        reader.read(huge)
    with pytest.raises(reader.CatalogError, match="cannot be read: No such file"):
        reader.read(tmp_path / "absent.yaml")


def test_every_prefix_of_the_file_is_either_a_catalogue_or_a_sentence() -> None:
    for end in range(0, len(GOOD), 97):
        with contextlib.suppress(reader.CatalogError):
            assert len(reader.parse(GOOD[:end]).services) < 22


def test_the_entry_for_matomo_in_the_contributor_s_guide_is_one_that_the_catalogue_takes() -> None:
    guide = (reader.DEFAULT.parents[1] / "CONTRIBUTING.md").read_text()
    block = guide[guide.index("    steps:\n      programs: [php]") :].split("\n\n")[0]
    begin, end = GOOD.index("    source: services/analytics"), GOOD.index("  admin_stg:")
    entry = GOOD[begin:end]
    changed = entry[: entry.index("    steps:")] + block + "\n    stacks: [production, sandbox]\n\n"
    service = reader.parse(GOOD[:begin] + changed + GOOD[end:]).services["analytics"]
    assert service.steps.migrate is not None
    assert service.steps.migrate.version is not None
    assert service.steps.migrate.version.file == "core/Version.php"
    without = changed[: changed.index("    schema_query")] + changed[changed.index("    stacks") :]
    assert _refused(GOOD[:begin] + without + GOOD[end:])[-1].endswith("version needs a schema_query, which it is compared with.")
    other = changed.replace("kind: command", "kind: drush")
    assert "is for kind command" in _refused(GOOD[:begin] + other + GOOD[end:])[-1]
