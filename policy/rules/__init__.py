"""The rules of the pack, one module a group."""

from rules import commands, databases, gates, github, hosts, inputs, platform, services
from rules.rule import Rule

ALL: tuple[Rule, ...] = (
    *gates.RULES,
    *platform.RULES,
    *hosts.RULES,
    *commands.RULES,
    *databases.RULES,
    *github.RULES,
    *services.RULES,
    *inputs.RULES,
)
"""Every rule of the pack."""
