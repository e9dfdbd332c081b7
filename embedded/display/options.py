"""What the display is asked to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from embedded.display.operations import REPLACEMENT_STEPS
from embedded.display.steps import Step

TITLES: Final = {
    "update": "Updating",
    "preview": "Previewing update",
    "destroy": "Destroying",
    "preview-destroy": "Previewing destroy",
    "refresh": "Refreshing",
    "preview-refresh": "Previewing refresh",
    "import": "Importing",
}


@dataclass(frozen=True)
class DisplayOptions:
    """The flags of the command line that concern the display."""

    show_secrets: bool = False
    show_same: bool = False
    show_replacement_steps: bool = False
    show_reads: bool = False
    show_config: bool = False
    suppress_outputs: bool = False
    suppress_progress: bool = False
    debug: bool = False
    steps_of_replacements: bool = True  # the progress view shows them; the view of differences and the digest on request only

    @staticmethod
    def of(flags: Mapping[str, bool], *, steps_of_replacements: bool) -> DisplayOptions:
        """The options among ``flags``; names that concern nothing here are left aside."""
        known = {name: bool(value) for name, value in flags.items() if name in DisplayOptions.__dataclass_fields__}
        if flags.get("show_sames"):
            known["show_same"] = True
        return DisplayOptions(**{**known, "steps_of_replacements": steps_of_replacements})

    def shows(self, step: Step) -> bool:
        """Whether a step has a line of its own."""
        if step.op == "same":
            protected = step.old is not None and step.new is not None and step.old.protect != step.new.protect
            return protected or self.show_same
        parts = step.op in REPLACEMENT_STEPS and not step.logical
        return not parts or self.steps_of_replacements or self.show_replacement_steps
