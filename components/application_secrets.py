"""The secrets that services share: generated ones, and those of the mail server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from catalog.secret_names import GENERATED
from catalog.settings import MailSettings, OwnerSecrets
from catalog.settings_file import reveal
from components.component import Component
from components.generated_secret import generated


@dataclass(frozen=True)
class ApplicationSecretsArgs:
    """``names``: the secrets that anything in this stack uses. ``rotate``: the ids of the rotations that this update makes, by name."""

    domain: str
    mail: MailSettings
    secrets: OwnerSecrets
    names: frozenset[str]
    rotate: Mapping[str, str] = field(default_factory=dict)


class ApplicationSecrets(Component):
    """Children: ``secret-<name>`` for each generated one. ``values``: every secret by the name of spec section 4, all marked secret."""

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
        for key in sorted(args.names & GENERATED.keys()):
            name = f"secret-{key.lower().replace('_', '-')}"
            existing = reveal(args.secrets.existing.get(key))
            self.values[key] = generated(self, name, signs(GENERATED[key]), args.rotate.get(key), existing).value
        unknown = sorted(args.names - self.values.keys())
        if unknown:
            raise pulumi.RunError(f"The catalogue names secrets that nothing provides: {', '.join(unknown)}.")
        self.register_outputs({"names": sorted(args.names)})


def signs(entropy: int) -> int:
    """How many signs of 6 bits hold ``entropy`` bytes, and two more because a password never has every sign equally likely."""
    return math.ceil(entropy * 8 / 6) + 2
