"""The workflow ``secrets`` as text: a job for each environment that is handed every secret that the catalogue gives it, and no other.

GitHub hands a job only the secrets that its file names, so the names must stand there: ``make docs`` writes them, a test compares. Passing
them all (``toJSON(secrets)``) would expose those that no job of this environment needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from catalog import reader, secret_names

FILE = ".github/workflows/secrets.yml"
_HEAD = """\
# By hand: does a job in an environment see every secret that it needs? Prints names, never a value; fails with those that are missing.
# Written by `make docs` from the catalogue (operations/workflow_secrets.py); do not edit.
name: secrets
on:
  workflow_dispatch:
    inputs:
      environment:
        description: Environment to look at
        type: choice
        options: [{environments}]
permissions: {{}}
concurrency:
  group: secrets-${{{{ inputs.environment }}}}
  cancel-in-progress: true
jobs:
"""
_JOB = """\
  {environment}:
    if: inputs.environment == '{environment}'
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    environment: {environment}
    steps:
      - name: Name what is there and what is missing
        shell: bash
        run: |
          missing=()
          for variable in "${{!SEEN_@}}"; do
            if [ -n "${{!variable}}" ]; then echo "present: ${{variable#SEEN_}}"; else missing+=("${{variable#SEEN_}}"); fi
          done
          if [ "${{#missing[@]}}" -gt 0 ]; then
            echo "::error::missing in this environment: ${{missing[*]}}; docs/runbook.md says how each is set"
            exit 1
          fi
        env:
"""


def text(environments: Sequence[str] = secret_names.ENVIRONMENTS) -> str:
    """The whole file. Raises ``reader.CatalogError``."""
    catalog = reader.read()
    jobs = [
        _JOB.format(environment=environment)
        + "".join(
            f"          SEEN_{name}: ${{{{ secrets.{name} }}}}\n" for name in secret_names.of_stack(catalog.of_stack(environment))
        )
        for environment in environments
    ]
    return _HEAD.format(environments=", ".join(environments)) + "".join(jobs)


if __name__ == "__main__":
    print(text(), end="")
