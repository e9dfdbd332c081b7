"""The monorepo's apps do what a visitor and a deploy need of them, on a real MariaDB, out of the artefacts that the build makes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.build import Built

from .host import Mails, MariaDB, Site, free_port, lay_out, text_of, wait_for

pytestmark = pytest.mark.sandbox

PHP = ["votes", "support", "newsletter", "hooks", "forum", "consent", "analytics", "admin_stg", "games", "crm"]


def send(site: Site, fields: dict[str, str | list[str]], path: str = "/") -> str:
    """Fills in the form on ``path`` and sends it; the page that follows."""
    status, page = site.request(path)
    assert status == 200
    token = re.search(r'name="form" value="([0-9a-f]{32})"', page)
    assert token
    status, page = site.request(path, urllib.parse.urlencode({"form": token[1], **fields}, doseq=True).encode())
    assert status == 200, page
    return page


def fact(page: str) -> str:
    """The value from the database that a page shows."""
    found = re.search(r"<dd data-database>([^<]*)</dd>", page)
    assert found, page
    return found[1]


@pytest.mark.parametrize("key", PHP)
def test_each_php_service_shows_service_release_commit_and_a_value_from_its_database(
    key: str, site: Callable[[str], Site], dist: tuple[Path, Built]
) -> None:
    status, page = site(key).request("/")
    manifest = dist[1].outcomes[key].manifest
    assert status == 200
    assert manifest
    assert f'data-release="service">{key}<' in page
    assert f'data-release="release">{manifest.release}<' in page
    assert f'data-release="commit">{manifest.commit or "unbekannt"}<' in page
    assert fact(page) != ""


def test_a_php_page_is_503_without_its_database_and_tells_no_detail(dist: tuple[Path, Built], tmp_path: Path) -> None:
    secrets = {"DB_HOST": "127.0.0.1", "DB_PORT": str(free_port()), "DB_NAME": "n", "DB_USER": "u", "DB_PASS": "canary-7d1f"}
    one = Site(lay_out(tmp_path, "votes", dist[0], secrets))
    try:
        status, page = one.request("/")
    finally:
        one.process.terminate()
        one.process.wait(10)
    assert status == 503
    assert "canary-7d1f" not in page + (one.release.parent / "php.log").read_text()
    assert "SQLSTATE" not in page


def test_a_form_of_another_site_is_refused(site: Callable[[str], Site]) -> None:
    status, _ = site("votes").request("/", b"choice=1&form=" + b"0" * 32, {"Cookie": ""})
    assert status == 403


def test_a_vote_counts_once(site: Callable[[str], Site]) -> None:
    votes = site("votes")
    before = int(fact(votes.request("/")[1]))
    assert "Ihre Stimme zählt" in send(votes, {"choice": "1"})
    page = send(votes, {"choice": "2"})
    assert "schon abgestimmt" in page
    assert int(fact(page)) == before + 1


def test_a_support_ticket_is_stored_and_confirmed_by_mail(
    site: Callable[[str], Site], mariadb: MariaDB, mail_server: Mails
) -> None:
    page = send(
        site("support"),
        {"name": "Ada <b>", "email": "ada@example.org", "subject": "Frage\r\nBcc: x@example.org", "message": ".\nzweite Zeile"},
    )
    reference = re.search(r"Nummer (T[0-9A-F]{9})", page)
    assert reference
    assert mariadb.run(f"SELECT email FROM tickets WHERE reference = '{reference[1]}'", "mo_support") == "ada@example.org"
    mail = mail_server[1][-1]
    assert (mail["From"], mail["To"], mail["Bcc"]) == ("<support@mo.localhost>", "<ada@example.org>", None)
    assert reference[1] in text_of(mail)


def test_a_newsletter_subscription_counts_after_its_confirmation(site: Callable[[str], Site], mail_server: Mails) -> None:
    newsletter = site("newsletter")
    assert "Link zum Bestätigen" in send(newsletter, {"email": "Leser@Example.org"})
    assert fact(newsletter.request("/")[1]) == "0"
    link = re.search(r"/\?confirm=[0-9a-f]{32}", text_of(mail_server[1][-1]))
    assert link
    page = newsletter.request(link[0])[1]
    assert "ist bestätigt" in page
    assert fact(page) == "1"
    assert "gilt nicht mehr" in newsletter.request("/?confirm=" + "0" * 32)[1]


def test_without_a_mail_server_a_ticket_is_kept_and_a_newsletter_says_so(site: Callable[[str], Site], mail_server: Mails) -> None:
    for key, fields, expected in (
        ("newsletter", {"email": "later@example.org"}, "konnte nicht verschickt werden"),
        ("support", {"name": "Ada", "email": "ada@example.org", "subject": "x", "message": "y"}, "Ihre Anfrage hat die Nummer"),
    ):
        one = site(key)
        place = one.release.parents[1] / "secrets.env"
        before = place.read_text()
        place.write_text(before.replace(f"SMTP_PORT='{mail_server[0]}'", f"SMTP_PORT='{free_port()}'"))
        try:
            assert expected in send(one, dict(fields))
        finally:
            place.write_text(before)


def test_a_consent_is_kept_as_a_receipt_and_the_probe_says_active(site: Callable[[str], Site], mariadb: MariaDB) -> None:
    consent = site("consent")
    page = send(consent, {"purpose[]": ["statistics"]})
    receipt = re.search(r"Beleg: ([0-9a-f]{32})", page)
    assert receipt
    rows = mariadb.run(f"SELECT purpose, granted FROM decisions WHERE receipt = '{receipt[1]}' ORDER BY purpose", "mo_consent")
    assert rows == "necessary\t1\nnewsletter\t0\nstatistics\t1"
    status, told = consent.request("/active.php")
    assert status == 200
    assert json.loads(told)["active"] is True
    mariadb.run("UPDATE purposes SET active = 0", "mo_consent")
    assert json.loads(consent.request("/active.php")[1])["active"] is False
    mariadb.run("UPDATE purposes SET active = 1", "mo_consent")


def test_a_webhook_needs_its_signature(site: Callable[[str], Site]) -> None:
    hooks = site("hooks")
    body = b'{"ok": true}'
    signature = "sha256=" + hmac.new(b"j" * 64, body, hashlib.sha256).hexdigest()
    assert hooks.request("/receive.php", body, {"X-Event": "build.done", "X-Signature-256": signature})[0] == 202
    assert hooks.request("/receive.php", body + b" ", {"X-Event": "build.done", "X-Signature-256": signature})[0] == 401
    assert hooks.request("/receive.php", body, {"X-Event": "x y", "X-Signature-256": signature})[0] == 400
    assert fact(hooks.request("/")[1]) == "1"


def test_a_forum_post_appears_without_its_markup(site: Callable[[str], Site]) -> None:
    page = send(site("forum"), {"topic": "2", "author": "Ada", "text": "<script>alert(1)</script>"})
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page


def test_visits_are_counted_and_switches_kept(site: Callable[[str], Site]) -> None:
    analytics = site("analytics")
    for _ in range(2):
        assert analytics.request("/track.php", b"page=%2Fmitmachen")[0] == 202
    assert analytics.request("/track.php", b"page=nowhere")[0] == 400
    assert fact(analytics.request("/")[1]) == "2"
    assert fact(send(site("admin_stg"), {"on[]": ["donations", "maintenance_banner"]})) == "2"
    assert fact(send(site("admin_stg"), {})) == "0"


def test_a_game_stores_its_score_and_achievement(site: Callable[[str], Site]) -> None:
    games = site("games")
    head = {"Content-Type": "application/json"}
    round_ = {"player": "Ada", "points": 30, "achievement": "all-right"}
    assert games.request("/scores.php", json.dumps(round_).encode(), head) == (201, '{"achievements":1}')
    for wrong in (b"", b"[]", json.dumps(round_ | {"points": -1}).encode(), json.dumps(round_ | {"achievement": "x"}).encode()):
        assert games.request("/scores.php", wrong, head)[0] == 400
    assert games.request("/scores.php", b"{}")[0] == 415
    assert json.loads(games.request("/scores.php")[1]) == {"best": [{"player": "Ada", "points": 30}]}
    page = games.request("/")[1]
    assert "Alles gewusst: 1" in page
    assert games.request("/game/main.js")[0] == 200


def test_a_donation_reaches_the_civicrm_tables(site: Callable[[str], Site], mariadb: MariaDB, mail_server: Mails) -> None:
    page = send(site("crm"), {"name": "Ada", "email": "ada@example.org", "amount": "25,50"})
    number = re.search(r"Nummer: ([0-9A-F]{16})", page)
    assert number
    query = (
        "SELECT e.email, c.total_amount FROM civicrm_contribution c JOIN civicrm_email e USING (contact_id) WHERE c.trxn_id = '%s'"
    )
    assert mariadb.run(query % number[1], "mo_crm") == "ada@example.org\t25.50"
    assert "25.50 Euro" in text_of(mail_server[1][-1])
    assert fact(page) == "5.81.0"
    assert "Betrag" in send(site("crm"), {"name": "Ada", "email": "ada@example.org", "amount": "-1"})


def drush(release: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the release's drush."""
    return subprocess.run(["php", "vendor/bin/drush", *words], cwd=release, capture_output=True, text=True, check=False)


def test_drush_upgrades_a_real_schema_fails_half_way_and_goes_on(
    dist: tuple[Path, Built], settings: Callable[[str], dict[str, str]], mariadb: MariaDB, tmp_path: Path
) -> None:
    release = lay_out(tmp_path, "crm", dist[0], settings("drush"))
    version = release / "vendor/civicrm/civicrm-core/xml/version.xml"
    upgrade = release / "vendor/civicrm/civicrm-core/sql/upgrade/5.82.0.sql"
    read = "SELECT version FROM civicrm_domain ORDER BY id LIMIT 1"
    assert drush(release, "nothing").returncode == 1
    assert drush(release, "civicrm:upgrade:db").returncode == 0
    assert drush(release, "updatedb").returncode == 1, "updates wait and nobody said -y"
    waiting = drush(release, "updatedb:status", "--format=list")
    assert (waiting.returncode, bool(waiting.stdout)) == (0, True)
    assert drush(release, "updatedb", "-y").returncode == 0
    assert drush(release, "updatedb:status", "--format=list").stdout == ""
    assert mariadb.run(read, "mo_drush") == "5.81.0"

    version.write_text(version.read_text().replace("5.81.0", "5.82.0"))
    upgrade.write_text("CREATE TABLE half (id INT);\n-- fail: the disk is full\nCREATE TABLE whole (id INT);\n")
    failed = drush(release, "civicrm:upgrade:db")
    assert failed.returncode == 1
    assert "the disk is full" in failed.stderr
    assert mariadb.run(read, "mo_drush") == "5.81.0"
    assert mariadb.run("SHOW TABLES LIKE '%h%l%'", "mo_drush") == "half"

    upgrade.write_text("DROP TABLE IF EXISTS half;\nCREATE TABLE whole (id INT);\n")
    assert drush(release, "civicrm:upgrade:db").returncode == 0
    assert mariadb.run(read, "mo_drush") == "5.82.0"
    version.write_text(version.read_text().replace("5.82.0", "5.80.0"))
    assert drush(release, "civicrm:upgrade:db").returncode == 1, "the database is ahead of the code"


@pytest.mark.slow
def test_the_api_installs_without_network_migrates_and_answers(
    dist: tuple[Path, Built],
    settings: Callable[[str], dict[str, str]],
    mariadb: MariaDB,
    mail_server: Mails,
    tmp_path: Path,
) -> None:
    release = lay_out(tmp_path, "api_stg", dist[0], settings("api_stg"))
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [pip] = release.glob("wheels/pip-*.whl")
    install = [str(python), f"{pip}/pip", "install", "-q", "--no-index", "--find-links", "wheels", "-r", "requirements.txt"]
    subprocess.run(
        install,
        cwd=release,
        check=True,
        env={"PATH": "/usr/bin:/bin", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    )
    subprocess.run([str(python), "-m", "alembic", "upgrade", "head"], cwd=release, check=True)
    assert mariadb.run("SELECT version_num FROM alembic_version", "mo_api_stg") == "0002_bio"
    port = free_port()
    command = [str(python), "-m", "uvicorn", "app.main:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=release)
    try:
        wait_for(port, process)
        api = Site.__new__(Site)
        api.port, api.cookies = port, {}
        status, told = api.request("/health")
        assert status == 200
        manifest = dist[1].outcomes["api_stg"].manifest
        assert manifest
        assert json.loads(told)["release"] == manifest.release
        assert json.loads(told)["database"] == {"engine": "mysql", "schema": "0002_bio", "members": 0}
        head = {"Content-Type": "application/json", "Host": "api.stg.mo.localhost"}
        person = {"email": "ada@example.org", "name": "Ada", "password": "correct horse battery"}
        assert api.request("/register", json.dumps(person).encode(), head)[0] == 202
        token = re.search(r"/#/verify/([0-9a-f]{32})", text_of(mail_server[1][-1]))
        assert token
        assert api.request("/verify", json.dumps({"token": token[1]}).encode(), head)[0] == 200
        status, told = api.request("/login", json.dumps(person).encode(), head)
        bearer = {"Authorization": f"Bearer {json.loads(told)['token']}"}
        assert json.loads(api.request("/profile", headers=bearer)[1])["name"] == "Ada"
    finally:
        process.terminate()
        process.wait(15)
