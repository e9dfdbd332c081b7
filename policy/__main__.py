"""The policy pack: every rule, mandatory unless it says otherwise. What each one asks and how to set it: README.md."""

from pulumi_policy import EnforcementLevel, PolicyPack
from rules import ALL

PolicyPack(
    name="menschlichkeit-oesterreich",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[rule.policy() for rule in ALL],
)
