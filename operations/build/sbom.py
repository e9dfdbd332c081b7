"""``SBOM.json``: CycloneDX 1.6 documents, one for each service and one for the whole build, from lock files and shipped files.

A document holds no time and no random number, so that equal content gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.manifest import Manifest
from operations.build import lockfiles
from operations.build.errors import BuildError
from operations.build.lockfiles import Package
from operations.build.strategies.base import Project
from operations.build.strategies.python import pins

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.validation.json import JsonStrictValidator


_MOST_FILES = 2000
_NAMESPACE = uuid.UUID("7f0a4f3e-5c0d-5b1e-9a55-1f2f3b8d6c11")


def of_service(project: Project, manifest: Manifest) -> bytes:
    """The document of one service. Raises ``BuildError`` where a lock file names no package at all."""
    packages, lock = _packages(project, manifest)
    if lock and not packages:
        raise BuildError(f"{project.key}: {lock} names no package, so that its bill of materials would be empty; check that file")
    return _document(manifest, packages, () if lock else _files(manifest))


def of_build(out: Path, manifests: Mapping[str, Manifest]) -> bytes:
    """The document of the whole build: every service with the packages that its own document names."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    bom = Bom()
    whole = Component(type=ComponentType.PLATFORM, name="menschlichkeit-oesterreich.at", bom_ref="platform")
    bom.metadata.component = whole
    known: dict[str, Component] = {}
    for service, manifest in sorted(manifests.items()):
        application = _application(manifest)
        bom.components.add(application)
        bom.register_dependency(whole, [application])
        document = json.loads((out / service / "SBOM.json").read_bytes())
        needed = []
        for entry in document.get("components", []):
            if entry["type"] == "library":
                needed.append(known.setdefault(entry["bom-ref"], Component.from_json(entry)))  # type: ignore[attr-defined]
        bom.register_dependency(application, needed)
    for component in known.values():
        bom.components.add(component)
    return _text(bom, "build " + " ".join(f"{s}={m.release}" for s, m in sorted(manifests.items())))


def _packages(project: Project, manifest: Manifest) -> tuple[list[Package], str | None]:
    """The packages of the service's lock file and that file's path."""
    kind = project.service.build.kind
    if kind in ("npm", "vite", "typescript"):
        own = project.source / "package-lock.json"
        lock, workspace = (own, "") if own.is_file() else (project.checkout / "package-lock.json", project.service.source)
        return lockfiles.npm(lock, workspace), str(lock.relative_to(project.checkout))
    if kind == "python":
        wheels = {f.path.removeprefix("wheels/"): f.sha256 for f in manifest.files if f.path.startswith("wheels/")}
        required = pins((project.source / "requirements.txt").read_text("utf-8"))
        return lockfiles.pypi(required, wheels), f"{project.service.source}/requirements.txt"
    lock = project.source / "composer.lock"
    if kind == "php" and lock.is_file():
        return lockfiles.composer(lock), f"{project.service.source}/composer.lock"
    return [], None


def _files(manifest: Manifest) -> list[tuple[str, str]]:
    """What ships without any lock file: each file, or, where they are too many for a document that anyone reads, all as one."""
    if len(manifest.files) <= _MOST_FILES:
        return [(file.path, file.sha256) for file in manifest.files]
    whole = hashlib.sha256()
    for file in manifest.files:
        whole.update(f"{file.sha256}  {file.path}\n".encode())
    return [(f"all {len(manifest.files)} files", whole.hexdigest())]


def _document(manifest: Manifest, packages: Iterable[Package], files: Iterable[tuple[str, str]]) -> bytes:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    bom = Bom()
    application = _application(manifest)
    bom.metadata.component = application
    made = {package.key: (package, _library(package)) for package in packages}
    for package, component in made.values():
        bom.components.add(component)
        bom.register_dependency(component, [made[need][1] for need in package.needs if need in made])
    for path, digest in files:
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
        bom.components.add(Component(type=ComponentType.FILE, name=path, hashes=hashes, bom_ref=f"file:{path}"))
    bom.register_dependency(application, [component for _, component in made.values()])
    return _text(bom, f"{manifest.service} {manifest.release}")


def _application(manifest: Manifest) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        type=ComponentType.APPLICATION, name=manifest.service, version=manifest.release, bom_ref=f"service:{manifest.service}"
    )


def _library(package: Package) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    namespace, _, name = package.name.rpartition("/")
    url = PackageURL(type=package.ecosystem, namespace=namespace or None, name=name, version=package.version)
    return Component(
        type=ComponentType.LIBRARY,
        group=namespace or None,
        name=name,
        version=package.version,
        scope=ComponentScope.REQUIRED if package.scope == "required" else ComponentScope.EXCLUDED,
        purl=url,
        bom_ref=str(url),
        hashes=[HashType(alg=HashAlgorithm(algorithm), content=content) for algorithm, content in package.hashes],
        licenses=[LicenseFactory().make_from_string(package.licence)] if package.licence else [],
    )


def _text(bom: Bom, seed: str) -> bytes:
    from cyclonedx.output.json import JsonV1Dot6

    with warnings.catch_warnings():
        # A static site needs no package; the library takes that for an oversight.
        warnings.filterwarnings("ignore", message="The Component this BOM is describing", category=UserWarning)
        document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    document.get("metadata", {}).pop("timestamp", None)
    document.pop("serialNumber", None)
    # A name of its content: two documents with the same one say the same.
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, seed + content)}"
    text = json.dumps(document, indent=1, ensure_ascii=False)
    _validate(text)
    return text.encode() + b"\n"


@cache
def _validator() -> JsonStrictValidator:
    """The validator, whose schema is read once."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6)


def _validate(text: str) -> None:
    error = _validator().validate_str(text)
    if error is not None:
        raise BuildError(f"The bill of materials does not follow CycloneDX 1.6: {str(error)[:300]}")
