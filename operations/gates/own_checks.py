"""The project's own checks: personal data in the host's logs, the consent service, the privacy policy's age, the artefacts' attestation."""

from __future__ import annotations

import os
import shlex
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx

from catalog import provenance, reader
from catalog.settings import StackSettings
from evidence import attestation, own, personal_data, privacy_policy
from operations.gates import served
from operations.gates.context import Context, NotHereError, StepError, ToolFailedError, remedy

ALLOW_LIST = "personal-data-allowed.txt"
PERSONAL_DATA = "personal-data-{stack}.json"
PERSONAL_DATA_FORMER = "personal-data.json"
"""What the scan of any stack left before reports named their stack."""
_SSH_FAILED = 255
"""How ssh ends, and rsync with it, where there is no connection or no login (ssh(1), EXIT STATUS)."""
POLICY_PAGE = "website/datenschutz.html"


def personal_data_in_logs(context: Context) -> None:
    """Fetches the host's logs into a folder of this user alone, scans them there, removes them. Leaves a report
    with the stack's name in its own, so that those of several stacks can lie side by side."""
    name = PERSONAL_DATA.format(stack=context.stack)
    settings = stack_settings(context)
    try:
        allowed = personal_data.load_allowed(context.project / ALLOW_LIST)
        with context.scratch() as scratch:
            _fetch_logs(context, settings, scratch)
            found = personal_data.scan(scratch, allowed)
    except personal_data.ScanError as error:
        raise StepError(str(error)) from None
    context.forget(PERSONAL_DATA_FORMER)
    own.write(
        context.reports / name,
        "personal-data",
        found.findings,
        found.files,
        found.places,
        context.commit,
        datetime.now(UTC),
        context.about,
    )


def stack_settings(context: Context) -> StackSettings:
    """The stack's settings. Raises ``NotHereError`` where they are not complete, as those of a sandbox that was not started."""
    if context.settings is None:
        raise NotHereError(f"the settings of the stack {context.stack} are not complete; {remedy(context.stack)}")
    return context.settings


def _fetch_logs(context: Context, settings: StackSettings, folder: Path) -> None:
    """rsync of ``<root>/logs`` from the host whose key is pinned."""
    host = settings.host
    place = f"[{host.address}]:{host.port}" if host.port != 22 else host.address
    with (
        tempfile.NamedTemporaryFile("w", prefix="mo-known-", suffix=".txt") as known,
        tempfile.NamedTemporaryFile("w", prefix="mo-key-") as key,
    ):
        known.write("".join(f"{place} {key}\n" for key in host.host_keys))
        known.flush()
        remote = [
            "ssh", "-F", "none", "-p", str(host.port), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15",
            "-o", f"UserKnownHostsFile={known.name}", "-o", "GlobalKnownHostsFile=/dev/null",
        ]  # fmt: skip
        if text := context.secrets.get("sshPrivateKey"):
            # Of this user alone (600), as mkstemp makes it, and gone with the block.
            key.write(text.rstrip("\n") + "\n")
            key.flush()
            remote += ["-o", "IdentitiesOnly=yes", "-i", key.name]
        elif host.key_file:
            remote += ["-o", "IdentitiesOnly=yes", "-i", str(context.project / Path(host.key_file).expanduser())]
        elif context.undecrypted and "SSH_AUTH_SOCK" not in os.environ:
            raise NotHereError(f"there is no SSH key to fetch the logs with: {context.undecrypted}")
        source = f"{host.user}@{host.address}:{host.root}/logs/"
        try:
            context.run(
                ["rsync", "-rtz", "--no-links", "-e", shlex.join(remote), source, f"{folder}/"], context.project, timeout=600
            )
        except ToolFailedError as error:
            if error.exit_code == _SSH_FAILED:
                raise NotHereError(f"the logs cannot be fetched, {error}; {remedy(context.stack)}") from None
            raise


def consent(context: Context) -> None:
    """Asks this build's consent service, where it runs, whether it is active. Leaves ``consent.json``: 1 where it is."""
    name = "consent.json"
    site = served.site(context, ("consent",))
    address = served.host(site, "consent")
    try:
        answer = served.ask(site.settings, context.project, address, "/active.php")
        active = answer.status_code == 200 and answer.json().get("active") is True
        said = [] if active else [f"https://{address}/active.php answers {answer.status_code} and does not say that it is active"]
    except (httpx.HTTPError, ssl.SSLError, ValueError, AttributeError) as error:
        active, said = False, [f"https://{address}/active.php: {type(error).__name__}"]
    own.write(context.reports / name, "consent", 1 if active else 0, 1, said, context.commit, datetime.now(UTC), context.about_site)


def privacy(context: Context) -> None:
    """Reads the policy's date in the website's source. Leaves ``privacy-policy.json``: its age in days."""
    name = "privacy-policy.json"
    try:
        html = (context.source / POLICY_PAGE).read_text(encoding="utf-8")
        days = privacy_policy.age(html, datetime.now(UTC).date())
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(f"{POLICY_PAGE} cannot be read: {error}") from None
    except privacy_policy.PolicyError as error:
        raise StepError(f"{POLICY_PAGE}: {error}") from None
    own.write(context.reports / name, "privacy-policy", days, 1, [], context.commit, datetime.now(UTC))


def attested(context: Context) -> None:
    """Verifies what ``dist/`` holds against its signed attestation. Leaves ``attestation.json``: artefacts without a valid one."""
    name = "attestation.json"
    settings = stack_settings(context)
    services = reader.read().of_stack(context.stack, settings.services)
    found = attestation.check(
        context.project / "dist",
        services,
        provenance.expectation(settings.provenance, context.project, context.commit.id, context.gates.allow_uncommitted),
    )
    own.write(
        context.reports / name, "attestation", found.mismatches, found.artefacts, found.faults, context.commit, datetime.now(UTC)
    )
