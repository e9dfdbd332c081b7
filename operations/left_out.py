"""What a stack's settings leave out of its deployments: said in report, terminal and by the doctor, since silence would pass for done."""

from __future__ import annotations

from catalog.settings import FLOWS, StackSettings, ValidationSettings


def of(settings: StackSettings, stack: str) -> dict[str, str]:
    """What is left out by name, each with a sentence that says how it is switched on."""
    said = {}
    config = f"bin/pulumi config set --stack {stack} --path"
    if settings.notify.url is None:
        said["notify"] = (
            f"n8n is not told of deployments; {config} 'mo:notify.url' https://n8n.{settings.domain}/webhook/deployment"
        )
    if settings.todo is None:
        said["todo"] = f"no item of the monorepo's TODO.md is ticked; {config} 'mo:todo.item' 'Deployment {{stack}} {{date}}'"
    validation = settings.validation
    if parts := [part for part in ValidationSettings().parts if part not in validation.parts]:
        said["validation"] = f"{', '.join(parts)} not asked after an update: mo:validation.parts leaves it out"
    if flows := [flow for flow in FLOWS if flow not in validation.flows]:
        said["flows"] = f"not tried after an update: {', '.join(flows)}; mo:validation.flows leaves them out"
    return said
