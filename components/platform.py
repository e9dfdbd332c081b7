"""All services of a stack on one host."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pulumi

from catalog import neighbours
from catalog.models import Catalog, Service
from catalog.secret_names import GENERATED, SERVERS, SHARED, SSH_KEY, database_secrets, generated, panel_password
from catalog.settings import RollbackSettings, ServerSettings, StackSettings
from catalog.settings_file import Loaded, reveal
from components import (
    activation,
    application_secrets,
    artefacts,
    backend,
    existing_databases,
    facts,
    judgement,
    plan,
    trust,
    window,
)
from components.application_secrets import ApplicationSecrets
from components.artefacts import Choice
from components.component import Component
from components.database_servers import DatabaseServers, DatabaseServersArgs
from components.found_secrets import FoundSecrets, FoundSecretsArgs
from components.github_environment import GitHubEnvironment, GitHubEnvironmentArgs
from components.host import Host, HostArgs
from components.judgement import Judgement
from components.monitoring import Monitoring, MonitoringArgs
from components.quality_gate import GateClosed, QualityGate, QualityGateArgs
from components.service_secrets import SYSTEM
from components.subdomain import Subdomain, SubdomainArgs


@dataclass(frozen=True)
class PlatformArgs:
    """``project``: the folder of ``Pulumi.yaml``. ``ask``: asks the host for facts; ``look``: the database servers
    for what is there before the first deploy. ``judgement``: of the gates (``None``: read them).
    ``verify``: checks what would be uploaded. ``enter``: called with the host's name before the first step. ``now``: the clock;
    ``environment``: the process's variables."""

    stack: str
    project: Path
    catalog: Catalog
    loaded: Loaded
    ask: facts.Ask
    look: existing_databases.Look | None = None
    judgement: Judgement | None = None
    verify: trust.Verify = trust.verify
    enter: Callable[[str], None] = lambda host: None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


class Platform(Component):
    """Children: ``QualityGate``, ``Host``, ``FoundSecrets``, ``DatabaseServers``, ``ApplicationSecrets``, ``GitHubEnvironment``,
    ``Subdomain`` for each service, ``Monitoring``. Everything but the gate waits for the gate. Raises ``pulumi.RunError`` where the deploy
    must not begin."""

    monitoring: Monitoring

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.loaded.settings
        services = args.catalog.of_stack(args.stack, settings.services)
        where = backend.kind(args.environment, args.project)
        props = {
            "domain": settings.domain,
            "services": sorted(services),
            "backend": where,
            "allowFileBackend": settings.allow_file_backend,
            "window": _outside(settings, args.now),
        }
        super().__init__(name, props, (), opts)
        inside = pulumi.ResourceOptions(parent=self)
        _may_begin(args, where, services)
        wished = artefacts.wishes(args.project, services, settings.releases)
        commit = artefacts.commit_of(args.project, wished)
        judged = args.judgement or judgement.of(args.stack, settings, args.project, commit, settings.rollback)
        for note in judged.notes:
            pulumi.log.warn(note, self)
        gate = QualityGate("gate", QualityGateArgs(args.stack, judged.figures, judged.failures), inside)

        Host("host", HostArgs(args.stack, args.project, settings, args.loaded.secrets), [gate], inside)
        known = args.ask(facts.request(args.stack, settings.host.name, services, wished.releases))
        known, problems = existing_databases.added(args.stack, services, settings.servers, known, args.look)
        for problem in problems:
            pulumi.log.warn(problem, self)
        choices = artefacts.choose(wished, known, allow_older=settings.allow_older)
        ruled = activation.rules(services, choices, wished, known, args.project / "dist", settings.rollback)
        entries = {key: rules.entry for key, rules in ruled.items()}
        plans = _plans(ruled, choices, known, settings.rollback is not None)
        uploads = [key for key, found in plans.items() if found.new not in known.of(key).releases]
        if uploads and judged.bypassed:
            raise GateClosed(_no_way_back(uploads, judged.bypassed))
        if settings.rollback is None and (foreign := _unjudged(uploads, wished, args.project, commit)):
            raise GateClosed(foreign)
        args.verify(args.project, settings, wished, uploads, commit)
        args.enter(settings.host.name)
        from_host = {key: (found.new, known.of(key)) for key, found in plans.items() if key not in wished.manifests}
        for note in trust.attested(settings, from_host):
            pulumi.log.warn(note, self)
        if not pulumi.runtime.is_dry_run():
            activation.write(args.project / ".mo" / args.stack, ruled, choices)

        found = FoundSecrets("found-secrets", FoundSecretsArgs(args.stack, _generated(args, services)), [gate], inside).found
        used = {s.database.server for s in services.values() if s.database}
        servers = DatabaseServers(
            "servers",
            DatabaseServersArgs(
                {k: s for k, s in settings.servers.items() if k in used}, args.loaded.secrets, settings.host.socks_port
            ),
            [gate],
            inside,
        )
        secrets = ApplicationSecrets(
            "application-secrets",
            application_secrets.args_of(args.catalog, args.loaded, entries),
            [gate, found],
            inside,
        )
        needed = {key: rules.needed for key, rules in ruled.items()}
        application_secrets.refuse_missing(args.stack, args.catalog, needed, secrets.values)
        subdomains = self._subdomains(args, entries, choices, servers, secrets, gate, found, known)
        for key, found in plans.items():
            if pulumi.runtime.is_dry_run():
                told = plan.lines(found, verbose=plan.VERBOSE in args.environment)
                pulumi.log.info("\n".join(told), subdomains[key])
        values = github_values(args, services, secrets, subdomains)
        github = GitHubEnvironment(
            "environment", GitHubEnvironmentArgs(settings.github, args.loaded.secrets, values), [gate], inside
        )
        _retire(settings, services, subdomains, github)
        self.monitoring = Monitoring(
            "monitoring",
            MonitoringArgs(
                args.stack,
                settings,
                entries,
                choices,
                {k: (s.release, s.check) for k, s in subdomains.items() if s.release is not None and s.check is not None},
                commit or artefacts.newest_commit(choice.manifest for choice in choices.values()),
                known,
            ),
            [gate],
            inside,
        )
        self.register_outputs({"domain": settings.domain, "services": sorted(services)})

    def _subdomains(
        self,
        args: PlatformArgs,
        services: Mapping[str, Service],
        choices: Mapping[str, Choice],
        servers: DatabaseServers,
        secrets: ApplicationSecrets,
        gate: QualityGate,
        found: pulumi.Resource,
        known: facts.Facts,
    ) -> dict[str, Subdomain]:
        settings = args.loaded.settings
        made: dict[str, Subdomain] = {}
        for key in in_order(services):
            entry = services[key]
            server = settings.servers.get(entry.database.server) if entry.database else None
            earlier = [made[other].release for other in entry.after if other in made]
            wanted = SubdomainArgs(
                stack=args.stack,
                service=key,
                entry=entry,
                settings=settings,
                choice=choices.get(key),
                server=server,
                provider=servers.providers.get(entry.database.server) if entry.database else None,
                ca=_authorities(args.project, server) if server and server.tls else None,
                existing=args.loaded.secrets.existing,
                secrets=secrets.values,
                secrets_after=[found],
                taken_over=known.of(key).existing,
                switch_after=[release.switch for release in earlier if release is not None],
            )
            made[key] = Subdomain(key, wanted, [gate], pulumi.ResourceOptions(parent=self))
        return made


def in_order(services: Mapping[str, Service]) -> list[str]:
    """The services, each after those that it is declared ``after``. The catalogue's reader has refused circles.

    Those that install dependencies on the host come first: that takes longest, and what is declared first begins first."""
    done: dict[str, None] = {}

    def visit(key: str) -> None:
        for other in services[key].after:
            if other in services and other not in done:
                visit(other)
        done[key] = None

    for key in sorted(services, key=lambda key: services[key].steps.dependencies is None):
        if key not in done:
            visit(key)
    return list(done)


def github_values(
    args: PlatformArgs, services: Mapping[str, Service], secrets: ApplicationSecrets, subdomains: Mapping[str, Subdomain]
) -> dict[str, pulumi.Input[str]]:
    """Every secret of the GitHub environment, by its name. The SSH key only where this program has its text (else it is in an agent)."""
    host, servers = args.loaded.settings.host, args.loaded.settings.servers
    values: dict[str, pulumi.Input[str]] = {"SSH_HOST": host.address, "SSH_PORT": str(host.port), "SSH_USER": host.user}
    key = reveal(args.loaded.secrets.ssh_private_key)
    if key is None and host.key_file:
        key = _text(args.project / Path(host.key_file).expanduser())
    if key is not None:
        values[SSH_KEY] = key
    for name, (address, port) in SERVERS.items():
        if name in servers:
            values |= {address: servers[name].host, port: str(servers[name].port)}
    values |= {name: secrets.values[name] for name in SHARED}
    for service, entry in services.items():
        made = subdomains[service].database
        if entry.database is not None and made is not None:
            user, password = database_secrets(entry.database)
            values |= {user: made.user, password: made.password}
    return values


def _retire(
    settings: StackSettings, services: Mapping[str, Service], subdomains: Mapping[str, Subdomain], github: GitHubEnvironment
) -> None:
    """Former passwords go when the service and GitHub have the new one, and the release that reads it is live; the daemon of an external
    service may still use them."""
    for key, made in subdomains.items():
        declared = services[key].database
        if made.database is not None and made.database.administered and made.env is not None and declared is not None:
            written = [github.written[name] for name in database_secrets(declared)]
            held = services[key].runtime == "external" and key not in settings.revoke
            # A site that was there before has its former password in its own files: until the release is live, that is what runs.
            live = [made.release.switch] if made.release is not None else []
            made.database.retire(key, [*made.database.ready, made.env, *written, *live], held=held)


def _may_begin(args: PlatformArgs, where: str, services: Mapping[str, Service]) -> None:
    settings = args.loaded.settings
    if where == "file" and not settings.allow_file_backend:
        raise pulumi.RunError(
            f"The stack {args.stack} keeps its state in files on this machine, where no other operator sees it: log in to a shared backend "
            f"(docs/state.md), or say that this is meant: bin/pulumi config set --stack {args.stack} mo:allowFileBackend true."
        )
    absent = sorted({s.database.server for s in services.values() if s.database} - settings.servers.keys())
    if absent:
        raise pulumi.RunError(
            f"The stack {args.stack} has no server {', '.join(absent)} (mo:servers), which its services' databases need."
        )
    named = {*settings.services, *settings.adopt, *(settings.releases or {}), *settings.revoke, *settings.rotate} - generated(
        args.catalog
    ).keys()
    unknown = sorted(named - args.catalog.services.keys())
    if unknown:
        raise pulumi.RunError(
            f"The settings of the stack {args.stack} name services that the catalogue has not: {', '.join(unknown)}."
        )
    neighbours.refuse_shared(args.project, args.stack, args.catalog, settings.model_dump(mode="json", by_alias=True))
    _check_existing(args, services)
    if settings.rollback is not None:
        _is_rollback(settings.rollback, settings.releases, args.now)
    outside = _outside(settings, args.now)
    if not window.is_open(args.now) and outside != "allow" and not pulumi.runtime.is_dry_run():
        if outside == "refuse":
            raise pulumi.RunError(f"{window.sentence(args.now)} The stack {args.stack} refuses to deploy then (mo:window.outside).")
        pulumi.log.warn(window.sentence(args.now))


def _outside(settings: StackSettings, now: datetime) -> Literal["warn", "refuse", "allow"]:
    """What the hour means outside the window: the way back is never refused, least of all the one of a deploy that began inside it; nor is
    a preview, which changes nothing: the policy pack judges by this too."""
    outside = settings.window.outside
    looks = pulumi.runtime.is_dry_run() and not window.is_open(now)
    return "warn" if outside == "refuse" and (settings.rollback is not None or looks) else outside


def _generated(args: PlatformArgs, services: Mapping[str, Service]) -> list[str]:
    """The secrets that this stack generates, and of which there is no value yet."""
    names = {*GENERATED}
    for service in services.values():
        if service.database is not None and args.loaded.settings.servers[service.database.server].administered:
            names.add(database_secrets(service.database)[1])
    return sorted(names - args.loaded.secrets.existing.keys())


def _check_existing(args: PlatformArgs, services: Mapping[str, Service]) -> None:
    """Every value of ``mo:existing`` is of something that this stack would generate, or that the panel gives out."""
    servers, known, fixed = args.loaded.settings.servers, {*generated(args.catalog)}, set[str]()
    for key, service in services.items():
        if service.database is None:
            continue
        user, password = database_secrets(service.database)
        known.add(password)
        if servers[service.database.server].administered:
            fixed.add(user)
        elif key in args.loaded.settings.rotate:
            raise pulumi.RunError(f"{panel_password(args.stack, key, service.database)}; nothing was changed.")
        else:
            known.add(user)
    if wrong := sorted(args.loaded.secrets.existing.keys() - known):
        why = "the catalogue names their users" if fixed.issuperset(wrong) else f"it has: {', '.join(sorted(known))}"
        raise pulumi.RunError(
            f"mo:existing of the stack {args.stack} holds {', '.join(wrong)}, which the stack does not take from there ({why}); take it "
            f"out: bin/pulumi config rm --stack {args.stack} --path 'mo:existing.{wrong[0]}'."
        )


def _is_rollback(note: RollbackSettings, releases: Mapping[str, str] | None, now: datetime) -> None:
    """A note that passes the gates is of a rollback: to named releases, and not left behind by an earlier one."""
    try:
        made = datetime.fromisoformat(note.time)
        age = now - made if made.tzinfo else None
    except ValueError:
        age = None
    if not releases or age is None or not -timedelta(minutes=5) <= age <= timedelta(hours=1):
        raise pulumi.RunError(
            "mo:rollback passes the quality gates by and holds for one hour, with a release set (mo:releases) alone; "
            "it is no setting of a stack: take it out, and go back with bin/mo rollback."
        )


def _no_way_back(uploads: Sequence[str], red: Sequence[str]) -> str:
    return (
        f"A rollback passes the gates for releases that the host still holds; those of {', '.join(sorted(uploads))} would be uploaded, "
        "and nothing was changed. Mend the gates and deploy them, or go back without those services (--only):\n"
        + "\n".join(f"  {sentence}" for sentence in red)
    )


def _unjudged(uploads: Sequence[str], wished: artefacts.Wishes, project: Path, commit: str | None) -> str | None:
    """What of the store would be uploaded though the gates have judged another commit; ``None`` where nothing would. What the host holds
    has passed the gates when it was uploaded."""
    stored = [key for key in uploads if key in wished.folders and wished.folders[key].parent != project / "dist"]
    lines = [
        f"  {key}: {wished.manifests[key].release} is of commit {(wished.manifests[key].commit or 'unknown')[:12]}"
        for key in stored
        if commit is None or wished.manifests[key].commit != commit
    ]
    if not lines:
        return None
    return (
        f"The gates have judged commit {(commit or 'unknown')[:12]}, and mo:releases names releases of other commits that the host does "
        "not hold; nothing was changed. Build and judge that commit (bin/mo build, bin/mo gates), or go back with bin/mo rollback:\n"
        + "\n".join(lines)
    )


def _plans(
    ruled: Mapping[str, activation.Rules], choices: Mapping[str, Choice], known: facts.Facts, back: bool
) -> dict[str, plan.ServicePlan]:
    """The plan of each service that would change. Raises ``pulumi.RunError`` where the host lacks what all of them need, where it will
    refuse all of them, or where it lacks the space; a rollback (``back``) needs none, since it migrates nothing. What is true of some
    stops these and what is ``after`` them: their ``switch`` refuses before it changes anything."""
    planned = {key: plan.of(key, rules.entry, choices.get(key), known, back=rules.back) for key, rules in ruled.items()}
    found = {key: one for key, one in planned.items() if one is not None}
    lacking = [f"  {key}: {', '.join(p.lacks)}" for key, p in found.items() if p.lacks]
    if lacking and (known.needs or len(lacking) == len(found)):
        raise pulumi.RunError("The host lacks programs that these services need, and nothing was changed:\n" + "\n".join(lacking))
    if lacking:
        pulumi.log.warn(
            "The host lacks programs that these services need; they stay as they are, others go on:\n" + "\n".join(lacking)
        )
    refused = [f"  {key}: {p.refusal.text}" for key, p in found.items() if p.refusal]
    # A baseline is recorded by the service's own account, which the host may learn only now.
    waiting = [key for key, p in found.items() if p.refusal and p.refusal.code == "no-history" and not known.of(key).reachable]
    if not waiting and refused and len(refused) == len(found):
        raise pulumi.RunError("The host will refuse these releases, and nothing was changed:\n" + "\n".join(refused))
    if refused:
        pulumi.log.warn("The host will refuse these releases; the others go on:\n" + "\n".join(refused))
    if not back and (wrong := plan.room(found.values(), known)):
        raise pulumi.RunError(wrong)
    return found


def _authorities(project: Path, server: ServerSettings) -> str:
    """What a service verifies its server with: certificates, or the authorities that its host trusts."""
    return SYSTEM if server.ca_file is None else _text(project / server.ca_file)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise pulumi.RunError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.") from None
