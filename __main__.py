"""The program: reads catalogue and settings, builds one ``Platform``, exports what the monitoring reads."""

import os
from pathlib import Path

import pulumi

from catalog import reader
from catalog.settings_file import SettingsError
from components import configuration
from components.artefacts import ArtefactError
from components.entering import Entering
from components.existing_databases import run_look
from components.facts import FactsError, RunFacts
from components.judgement import JudgementError
from components.platform import Platform, PlatformArgs

project = Path(__file__).resolve().parent
stack = pulumi.get_stack()
try:
    platform = Platform(
        "platform",
        PlatformArgs(
            stack=stack,
            project=project,
            catalog=reader.read(),
            loaded=configuration.load(project, stack),
            ask=RunFacts(project),
            enter=Entering(project, stack, os.environ),
            look=run_look(project),
        ),
    )
except (reader.CatalogError, SettingsError, ArtefactError, FactsError, JudgementError) as error:
    raise pulumi.RunError(str(error)) from None
pulumi.export("monitoring", platform.monitoring.export)
