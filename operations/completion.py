"""What a shell completes: the stacks that have a file, the services of the catalogue; and the scripts that ask for it.

Each press of Tab starts the command line anew, so nothing here imports the catalogue's models.
"""

from __future__ import annotations

import yaml

from operations import project

VARIABLE = "_MO_COMPLETE"
"""Set by the scripts below: the command line then prints completions and does nothing else."""

SCRIPTS = {
    "bash": f"""_mo_complete() {{
    local IFS=$'\\n'
    COMPREPLY=( $( COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD {VARIABLE}=complete_bash "$1" 2>/dev/null ) )
}}
complete -o default -F _mo_complete mo
""",
    "zsh": f"""#compdef mo
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
_mo_complete() {{
    eval "$(_TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {VARIABLE}=complete_zsh ${{words[1]}} 2>/dev/null)"
}}
compdef _mo_complete mo
""",
}
"""Shell → script. Both shells look a command up by the last part of its path, so ``bin/mo`` and any other path to it complete."""


def stacks() -> list[str]:
    """The stacks that have a file."""
    return sorted(path.name.split(".")[1] for path in project.ROOT.glob("Pulumi.*.yaml"))


def services() -> list[str]:
    """The services of the catalogue, whichever stack deploys them; none where the catalogue cannot be read."""
    try:
        found = yaml.load((project.ROOT / "catalog/services.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return list(found["services"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []
