"""A release is live when its code answers: PHP's caches, which go on with the former release, are cleared, and that is proven.

``MO_SANDBOX_WEB`` chooses the web server; these promises hold on each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox import processes
from tests.integration.sandbox.deploying import Deployer, Visitors, deployer
from tests.sandbox_fixture import Sandbox

pytestmark = pytest.mark.sandbox


@pytest.fixture
def votes(sandbox: Sandbox) -> Iterator[Deployer]:
    with deployer(sandbox, "votes") as made:
        yield made


@contextmanager
def php_settings(sandbox: Sandbox, *lines: str) -> Iterator[None]:
    """PHP with further settings: ``name=value``, as a hoster gives them."""
    embedded = sandbox.layout.web == "apache-mod-php"
    part = "apache" if embedded else "php-fpm"
    file = sandbox.layout.etc / ("apache.conf" if embedded else "php-fpm.conf")
    before = file.read_text()
    # disable_functions counts for the whole of Apache in php.ini alone; FPM takes it for a pool.
    form = "php_admin_value {} {}\n" if embedded else "php_admin_value[{}] = {}\n"
    file.write_text(before.replace("<Directory />", "".join(form.format(*line.split("=", 1)) for line in lines) + "<Directory />", 1)
                    if embedded else before + "".join(form.format(*line.split("=", 1)) for line in lines))  # fmt: skip
    processes.stop(sandbox.layout, part)
    try:
        _start(sandbox, part)
        yield
    finally:
        file.write_text(before)
        processes.stop(sandbox.layout, part)
        sandbox.up()


def _start(sandbox: Sandbox, part: str) -> None:
    from sandbox import lifecycle, web

    # As made, but for the file, which ``parts`` would write as it was.
    file = sandbox.layout.etc / ("apache.conf" if part == "apache" else "php-fpm.conf")
    changed = file.read_text()
    made = next(made for made in web.parts(sandbox.site) if made.daemon.name == part)
    file.write_text(changed)
    lifecycle.bring_up(sandbox.layout, made)


def no_canary(votes: Deployer) -> bool:
    return votes.sandbox.ssh(f"find {votes.sandbox.root} -name '*mo-canary*'").stdout == b""


def test_within_two_seconds_after_activation_no_visitor_gets_another_release(sandbox: Sandbox, votes: Deployer) -> None:
    first, second = votes.php("one"), votes.php("two")
    bad = votes.php("bad", bad__txt="x", index__php="<?php http_response_code(500); echo 'bad';\n")
    votes.switch(first)
    votes.warm()
    spans = []
    with Visitors(sandbox, "votes") as visitors:
        time.sleep(0.5)
        for release, page in ((second, "two two"), (first, "one one"), (second, "two two")):
            result = votes.switch(release)
            done = time.monotonic()
            assert result["activated"]["ms"] < 10_000
            time.sleep(2.5)
            spans.append((done, time.monotonic(), page))
        sentence = votes.refused(bad)
        done = time.monotonic()
        time.sleep(2.5)
        spans.append((done, time.monotonic(), "two two"))
    assert "500" in sentence
    for begin, end, page in spans:
        assert visitors.bodies(begin, end) == {page}
    assert {body for body in (answer.body for answer in visitors.answers)} <= {"one one", "two two"}, "no page mixes two releases"
    assert visitors.failures() == []
    assert votes.live == second
    assert no_canary(votes)


def test_a_release_that_answers_500_only_once_it_is_live_is_reverted_and_the_former_code_runs(
    sandbox: Sandbox, votes: Deployer
) -> None:
    # The candidate is asked below a folder of its own; this one fails at the root alone.
    page = "<?php if ($_SERVER['REQUEST_URI'] === '/') { http_response_code(500); } echo 'late';\n"
    first, late = votes.php("one"), votes.php("late", index__php=page)
    votes.switch(first)
    votes.warm()
    assert "500" in votes.refused(late)
    assert votes.live == first
    assert {(sandbox.get("votes").status, sandbox.get("votes").body) for _ in range(20)} == {(200, "one one")}
    assert no_canary(votes)


def test_the_former_code_runs_again_although_whoever_switched_is_gone_before_the_revert(sandbox: Sandbox, votes: Deployer) -> None:
    """Nobody can look at what PHP runs then, nor clear its caches over the web, which hold the release that failed."""
    page = "<?php if ($_SERVER['REQUEST_URI'] === '/') { http_response_code(500); } echo 'late';\n"
    first, late = votes.php("one"), votes.php("late", index__php=page)
    votes.switch(first)
    votes.warm()
    child = votes.start("switch", **votes.request(late))
    end = time.monotonic() + 60
    while sandbox.get("votes").body != "late":
        assert time.monotonic() < end
        assert child.poll() is None
    child.kill()
    child.communicate()
    while b"there" in sandbox.ssh(f"[ ! -e '{votes.base}/switching' ] || echo there").stdout:
        assert time.monotonic() < end
    assert votes.live == first
    time.sleep(3.1)  # opcache.revalidate_freq, two seconds, by a clock of whole seconds
    answers = [sandbox.get("votes") for _ in range(40)]
    assert {(answer.status, answer.body) for answer in answers} == {(200, "one one")}
    assert no_canary(votes)


def test_php_that_never_looks_at_files_again_is_cleared_all_the_same(sandbox: Sandbox, votes: Deployer) -> None:
    with php_settings(sandbox, "opcache.validate_timestamps=0"):
        first, second = votes.php("one"), votes.php("two")
        votes.switch(first)
        votes.warm()
        assert votes.switch(second)["activated"]["how"] == "reset"
        assert {sandbox.get("votes").body for _ in range(20)} == {"two two"}


def test_php_that_lets_nobody_clear_what_it_keeps_for_ever_is_refused_before_anything_changes(
    sandbox: Sandbox, votes: Deployer
) -> None:
    first, second = votes.php("one"), votes.php("two")
    votes.switch(first)
    with php_settings(sandbox, "opcache.validate_timestamps=0", "opcache.restrict_api=/nowhere"):
        sentence = votes.refused(second)
    assert "opcache.validate_timestamps=0" in sentence
    assert "nothing was changed" in sentence
    assert votes.live == first
    assert no_canary(votes)


def test_php_that_may_not_be_cleared_notices_the_new_release_by_its_files_times(sandbox: Sandbox, votes: Deployer) -> None:
    with php_settings(sandbox, "opcache.restrict_api=/nowhere"):
        first, second = votes.php("one"), votes.php("two")
        votes.switch(first)
        votes.warm()
        result = votes.switch(second)
        assert result["activated"]["how"] == "expire"
        assert {sandbox.get("votes").body for _ in range(20)} == {"two two"}


def test_without_opcache_every_process_forgets_where_the_link_led(sandbox: Sandbox, votes: Deployer) -> None:
    with php_settings(sandbox, "opcache.enable=0"):
        first, second = votes.php("one"), votes.php("two")
        votes.switch(first)
        votes.warm()
        result = votes.switch(second)
        assert result["activated"]["how"] in ("renew", "clear")
        assert {sandbox.get("votes").body for _ in range(20)} == {"two two"}


def test_php_that_goes_on_with_the_old_code_is_reverted_and_named_never_a_success(sandbox: Sandbox, votes: Deployer) -> None:
    # A reset that says yes and does nothing: a disabled function may be defined anew.
    blocked = sandbox.layout.etc / "blocked.php"
    blocked.write_text("<?php if (!function_exists('opcache_reset')) { function opcache_reset(): bool { return true; } }\n")
    if sandbox.layout.web == "apache-mod-php":
        pytest.skip("PHP in Apache takes disable_functions from php.ini alone")
    first, second = votes.php("one"), votes.php("two")
    votes.switch(first)
    with php_settings(sandbox, "opcache.validate_timestamps=0", "disable_functions=opcache_reset", f"auto_prepend_file={blocked}"):
        votes.warm()
        sentence = votes.refused(second)
        assert f"PHP does not run the release {second}" in sentence
        assert f"is run from the release {first}" in sentence
        assert votes.live == first
        assert {sandbox.get("votes").body for _ in range(20)} == {"one one"}
        assert no_canary(votes)


def test_a_release_that_is_copied_in_place_is_proven_too_and_leaves_no_canary(sandbox: Sandbox, votes: Deployer) -> None:
    first, second = votes.php("one"), votes.php("two")
    votes.switch(first, strategy="in-place")
    time.sleep(2.1)  # OPcache takes no file of the last two seconds
    assert {sandbox.get("votes").body for _ in range(20)} == {"one one"}
    result = votes.switch(second, strategy="in-place")
    assert result["activated"]["how"] == "reset"
    assert {sandbox.get("votes").body for _ in range(20)} == {"two two"}
    assert not [note for note in result["notes"] if "canary" in note]
    assert no_canary(votes)


def test_a_document_root_that_was_removed_by_hand_is_no_obstacle(sandbox: Sandbox, votes: Deployer) -> None:
    first = votes.php("one")
    votes.switch(first)
    votes.warm()
    sandbox.ssh(f"rm -rf {votes.base} {votes.path} && mkdir {votes.path}")
    if sandbox.layout.web == "apache-mod-php":
        sandbox.forget_php()  # its processes are not the account's to renew: it takes them two minutes
    second = votes.php("two")
    assert votes.switch(second)["activated"]["how"] in ("renew", "reset")
    assert {sandbox.get("votes").body for _ in range(20)} == {"two two"}


def test_the_canary_answers_nobody_without_its_token_and_goes_even_when_its_client_is_killed(
    sandbox: Sandbox, votes: Deployer
) -> None:
    first = votes.php("one")
    votes.switch(first)
    body = (sandbox.site.layout.clone / "components/remote/host/canary.php").read_text()
    for mark, value in (("@RELEASE@", first), ("@DIGEST@", "0" * 64), ("@UNTIL@", str(int(time.time()) + 60))):
        body = body.replace(mark, value)
    name = f"mo-canary-{'a' * 32}.php"
    sandbox.ssh(f"cat > {votes.base}/releases/{first}/{name}", body.encode())
    for headers in ({}, {"X-Mo-Canary": ""}, {"X-Mo-Canary": "0" * 64}, {"X-Mo-Canary": "x" * 5000}):
        answer = sandbox.get("votes", f"/{name}", headers=headers)
        assert (answer.status, answer.body) == (404, "")
    votes.switch(first)
    assert no_canary(votes)
