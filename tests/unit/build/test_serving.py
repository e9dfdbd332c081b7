"""The rules that each artefact gets for what is not for the web, and the web root of those that declare one."""

from __future__ import annotations

import os

from catalog.manifest import Manifest
from catalog.models import Service
from components.remote.client import serving
from tests.unit.build.monorepo import Monorepo, service

WORDPRESS = "# BEGIN WordPress\nRewriteEngine On\n# END WordPress\n"


def _built(monorepo: Monorepo, entry: Service) -> Manifest:
    manifest = monorepo.build(s=entry).outcomes["s"].manifest
    assert manifest is not None
    return manifest


def test_a_site_s_own_htaccess_is_kept_and_the_rules_come_after_it(monorepo: Monorepo) -> None:
    monorepo.write("s/index.php", "<?php")
    monorepo.write("s/.htaccess", WORDPRESS)
    first = _built(monorepo, service("s", runtime="php"))
    assert (monorepo.out / "s/tree/.htaccess").read_text() == serving.merged(WORDPRESS)
    assert [file.path for file in first.files] == [".htaccess", "index.php"]
    assert monorepo.states(s=service("s", runtime="php")) == {"s": "unchanged"}


def test_a_process_answers_for_itself_and_a_persistent_htaccess_is_the_site_s(monorepo: Monorepo) -> None:
    monorepo.write("s/index.html")
    assert [file.path for file in _built(monorepo, service("s", runtime="process")).files] == ["index.html"]
    assert [file.path for file in _built(monorepo, service("s", persistent=[".htaccess"])).files] == ["index.html"]


def test_the_rules_of_a_web_root_are_in_it_with_a_link_to_the_release_s_description(monorepo: Monorepo) -> None:
    monorepo.write("s/web/public/index.php", "<?php")
    monorepo.write("s/src/app.php", "<?php")
    manifest = _built(monorepo, service("s", runtime="php", web_root="web/public"))
    assert [file.path for file in manifest.files] == ["src/app.php", "web/public/.htaccess", "web/public/index.php"]
    assert [(link.path, link.target) for link in manifest.links] == [("web/public/release.json", "../../release.json")]
    assert os.readlink(monorepo.out / "s/tree/web/public/release.json") == "../../release.json"


def test_what_is_no_text_or_no_file_stops_the_build_by_name(monorepo: Monorepo) -> None:
    monorepo.write("s/index.html")
    assert "holds no public" in monorepo.error(s=service("s", web_root="public"))
    monorepo.write("s/.htaccess", b"\xff\xfe\x00")
    assert ".htaccess is not UTF-8 text" in monorepo.error(s=service("s"))
    (monorepo.source / "s/.htaccess").unlink()
    (monorepo.source / "s/.htaccess").symlink_to("index.html")
    assert ".htaccess is a link" in monorepo.error(s=service("s"))
