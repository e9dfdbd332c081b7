"""The GitHub environment of the stack, with every secret that its workflows need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_github as github

from catalog.settings import GitHubSettings, OwnerSecrets
from catalog.settings_file import reveal
from components.component import Component


@dataclass(frozen=True)
class GitHubEnvironmentArgs:
    """``values``: each secret by its name; all are ours, written where they change."""

    settings: GitHubSettings
    secrets: OwnerSecrets
    values: Mapping[str, pulumi.Input[str]] = field(repr=False)


class GitHubEnvironment(Component):
    """Children: the provider ``github``, ``github-environment`` with its protection, and ``github-<secret>`` for each secret.

    ``written``: each of the secrets, by its name."""

    written: dict[str, pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: GitHubEnvironmentArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        settings = args.settings
        props = {
            "repository": f"{settings.owner}/{settings.repository}",
            "environment": settings.environment,
            "names": sorted(args.values),
        }
        super().__init__(name, props, after, opts)
        token = reveal(args.secrets.github_token)
        provider = github.Provider(
            "github",
            owner=settings.owner,
            base_url=settings.base_url,
            token=pulumi.Output.secret(token) if token else None,
            write_delay_ms=settings.write_delay_ms,
            opts=self.child(),
        )
        environment = github.RepositoryEnvironment(
            "github-environment",
            repository=settings.repository,
            environment=settings.environment,
            prevent_self_review=True,
            can_admins_bypass=False,
            reviewers=[github.RepositoryEnvironmentReviewerArgs(users=list(settings.reviewers))] if settings.reviewers else None,
            deployment_branch_policy=github.RepositoryEnvironmentDeploymentBranchPolicyArgs(
                protected_branches=True, custom_branch_policies=False
            ),
            opts=self.child(provider=provider, retain_on_delete=True),
        )
        self.written = {}
        for secret, value in sorted(args.values.items()):
            self.written[secret] = github.ActionsEnvironmentSecret(
                f"github-{secret.lower().replace('_', '-')}",
                repository=settings.repository,
                environment=environment.environment,
                secret_name=secret,
                value=pulumi.Output.secret(value),
                opts=self.child(provider=provider),
            )
        self.register_outputs(props)
