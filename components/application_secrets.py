"""The secrets that services share: generated ones, and those of the mail server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from catalog.models import Catalog, GeneratedSecret, OwnerSecret, PlainSetting, SecretDeclaration, Service
from catalog.secret_names import GENERATED, SHARED, way_to_set
from catalog.settings import MailSettings, OwnerSecrets
from catalog.settings_file import Loaded, reveal
from components.component import Component
from components.generated_secret import generated


@dataclass(frozen=True)
class ApplicationSecretsArgs:
    """``names``: the secrets that anything in this stack uses. ``rotate``: the ids of the rotations that this update makes, by name.
    ``declared``: of ``names`` those that the catalogue declares; ``plain``: the stack's plain settings."""

    domain: str
    mail: MailSettings
    secrets: OwnerSecrets
    names: frozenset[str]
    rotate: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, SecretDeclaration] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)


class ApplicationSecrets(Component):
    """Children: ``secret-<name>`` for each generated one. ``values``: every value by its name, all marked secret; the owner's that are not
    set are not among them: who needs one says so."""

    values: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: ApplicationSecretsArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, {"names": sorted(args.names)}, after, opts)
        known = {
            "SMTP_HOST": args.mail.host,
            "SMTP_PORT": str(args.mail.port),
            "SMTP_USER": reveal(args.secrets.smtp_user),
            "SMTP_PASS": reveal(args.secrets.smtp_password),
            "SUPPORT_EMAIL": args.mail.support.replace("{domain}", args.domain),
            "CIVIMAIL_FROM": args.mail.civimail_from.replace("{domain}", args.domain),
            "CIVIMAIL_BOUNCE": args.mail.civimail_bounce.replace("{domain}", args.domain),
        }
        self.values = {key: pulumi.Output.secret(value) for key, value in known.items() if value is not None}
        entropy = {**GENERATED, **{key: one.bytes for key, one in args.declared.items() if isinstance(one, GeneratedSecret)}}
        for key in sorted(args.names & entropy.keys()):
            name = f"secret-{key.lower().replace('_', '-')}"
            existing = reveal(args.secrets.existing.get(key))
            self.values[key] = generated(self, name, signs(entropy[key]), args.rotate.get(key), existing).value
        for key, one in args.declared.items():
            given = None
            if isinstance(one, OwnerSecret):
                given = reveal(args.secrets.application.get(key))
            elif isinstance(one, PlainSetting):
                given = args.plain.get(key, one.default and one.default.replace("{domain}", args.domain))
            if given is not None:
                self.values[key] = pulumi.Output.secret(given)
        unknown = sorted(args.names - self.values.keys() - args.declared.keys())
        if unknown:
            raise pulumi.RunError(f"The catalogue names secrets that nothing provides: {', '.join(unknown)}.")
        self.register_outputs({"names": sorted(args.names)})


def args_of(catalog: Catalog, loaded: Loaded, entries: Mapping[str, Service]) -> ApplicationSecretsArgs:
    """What the services of ``entries`` read. Raises ``pulumi.RunError`` for values that no catalogue asks for."""
    settings, secrets = loaded.settings, loaded.secrets
    for key, given, kind in (("values", settings.values, PlainSetting), ("application", secrets.application, OwnerSecret)):
        if unknown := sorted(name for name in given if not isinstance(catalog.secrets.get(name), kind)):
            meant = "settings" if kind is PlainSetting else "the owner's secrets"
            known = sorted(name for name, one in catalog.secrets.items() if isinstance(one, kind))
            raise pulumi.RunError(
                f"mo:{key} holds {', '.join(unknown)}, which the catalogue does not declare as {meant} (there are: "
                f"{', '.join(known) or 'none'}); take it out: bin/pulumi config rm --path 'mo:{key}.{unknown[0]}'."
            )
    read = {name for entry in entries.values() for name in entry.secrets}
    declared = {name: one for name, one in catalog.secrets.items() if name in read}
    names = frozenset((*SHARED, *declared))
    return ApplicationSecretsArgs(settings.domain, settings.mail, secrets, names, settings.rotate, declared, settings.values)


def refuse_missing(stack: str, catalog: Catalog, needed: Mapping[str, Sequence[str]], values: Mapping[str, object]) -> None:
    """Raises ``pulumi.RunError`` for what a release that is to be live reads (``needed``, by service) and the stack does not have. What
    only a newer release reads is no reason to refuse an older one."""
    lines = [
        f"  {name} of {key}: {way_to_set(stack, name, catalog.secrets[name])}"
        if name in catalog.secrets
        else f"  {name} of {key}: the catalogue no longer declares it (catalog/services.yaml, secrets)"
        for key, names in needed.items()
        for name in names
        if name not in values
    ]
    if lines:
        raise pulumi.RunError("Services read values that the stack does not have; nothing was changed:\n" + "\n".join(lines))


def signs(entropy: int) -> int:
    """How many signs of 6 bits hold ``entropy`` bytes, and two more because a password never has every sign equally likely."""
    return math.ceil(entropy * 8 / 6) + 2
