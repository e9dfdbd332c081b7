"""Reads ``services.yaml``. Every mistake in it becomes one sentence with file, line, service and key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from catalog import mistakes, yaml_source
from catalog.models import Catalog, PlainSetting, Service
from catalog.secret_names import DATABASE, PUBLIC_ENDINGS, SHARED
from catalog.yaml_source import Document, Path_

DEFAULT = Path(__file__).parent / "services.yaml"


class CatalogError(ValueError):
    """The catalogue cannot be used. ``problems``: one sentence for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def read(path: Path = DEFAULT) -> Catalog:
    """The catalogue in ``path``. Raises ``CatalogError`` with all mistakes of its form, or, where its form is right, of its sense."""
    shown = _shown(path)
    try:
        document = yaml_source.read(path, shown)
    except yaml_source.SourceError as error:
        raise CatalogError([str(error)]) from None
    return _checked(document)


def parse(text: str | bytes, name: str = "services.yaml") -> Catalog:
    """The catalogue in ``text``. Raises ``CatalogError``."""
    try:
        document = yaml_source.parse(text.encode() if isinstance(text, str) else text, name)
    except yaml_source.SourceError as error:
        raise CatalogError([str(error)]) from None
    return _checked(document)


def _checked(document: Document) -> Catalog:
    if not isinstance(document.data, dict):
        found = mistakes.shorten(document.data)
        raise CatalogError([f"{document.file}:1: a catalogue is a mapping with version and services, not {found}."])
    try:
        catalog = Catalog.model_validate(document.data)
    except ValidationError as invalid:
        raise CatalogError([_place(document, e["loc"]) + mistakes.sentence(e, Catalog) + "." for e in invalid.errors()]) from None
    problems = [f"{_place(document, path)}{text}." for path, text in _contradictions(catalog)]
    if problems:
        raise CatalogError(problems)
    return catalog


def _place(document: Document, loc: tuple[int | str, ...]) -> str:
    """``file:line: service votes: database.engine `` for a place; Pydantic marks a wrong key of a mapping by ``[key]``."""
    path: Path_ = tuple(step for step in loc if step != "[key]")
    line = document.line(path)
    if len(path) >= 2 and path[0] == "services":
        key = _dotted(path[2:])
        return f"{document.file}:{line}: service {path[1]}: {key} " if key else f"{document.file}:{line}: service {path[1]} "
    return f"{document.file}:{line}: {_dotted(path)} "


def _dotted(path: Path_) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text


def _contradictions(catalog: Catalog) -> Iterator[tuple[Path_, str]]:
    """What each entry may say alone but not beside the others."""
    if not catalog.services:
        yield ("services",), "is empty; a catalogue has at least one service"
    yield from _twice(catalog, "path", lambda s: s.path)
    yield from _twice(catalog, "host", lambda s: s.host)
    yield from _twice(catalog, "database.name", lambda s: s.database.name if s.database else None)
    yield from _twice(catalog, "database.user", lambda s: s.database.user if s.database else None)
    yield from _nested_paths(catalog)
    yield from _secrets(catalog)
    for key, service in catalog.services.items():
        here: Path_ = ("services", key)
        yield from _database(here, service)
        yield from _steps(here, service)
        if service.runtime == "external" and service.health.daemon is None:
            yield (*here, "health", "daemon"), "is missing; of an external service it says where its daemon tells that it is well"
        elif service.runtime != "external" and service.health.daemon is not None:
            yield (*here, "health", "daemon"), f"is of external services; the runtime is {service.runtime}"
        for n, path in enumerate(service.persistent):
            if any(path.startswith(other.rstrip("/") + "/") for other in service.persistent):
                yield (
                    (*here, "persistent", n),
                    f"is {path!r}, inside another persistent path of this service; name the outer one alone",
                )
        if service.status_page is not None and not any(
            service.status_page.startswith(p.rstrip("/") + "/") for p in service.persistent
        ):
            yield (
                (*here, "status_page"),
                f"is {service.status_page!r}; it must be below a persistent path, or it would change a release",
            )
        for n, other in enumerate(service.after):
            if other not in catalog.services:
                yield (*here, "after", n), f"names {other}, which is no service of this catalogue"
    yield from _cycles(catalog)


def _twice(catalog: Catalog, what: str, of: Callable[[Service], str | None]) -> Iterator[tuple[Path_, str]]:
    first: dict[str, str] = {}
    for key, service in catalog.services.items():
        value = of(service)
        if value is None:
            continue
        if value in first:
            yield ("services", key, *what.split(".")), f"is {value!r}, as that of service {first[value]}; each must be its own"
        first.setdefault(value, key)


def _secrets(catalog: Catalog) -> Iterator[tuple[Path_, str]]:
    """Every name that a service reads is provided by something, and none by two."""
    for name, declared in catalog.secrets.items():
        here: Path_ = ("secrets", name)
        if name in (*SHARED, *DATABASE):
            yield here, f"is {name}, which every stack provides by itself; choose another name"
        elif not isinstance(declared, PlainSetting) and name.endswith(PUBLIC_ENDINGS):
            ending = next(one for one in PUBLIC_ENDINGS if name.endswith(one))
            yield here, f"is {name}; names in {ending} are of values that are no secret; choose another name, or kind: setting"
    for key, service in catalog.services.items():
        for n, name in enumerate(service.secrets):
            if name not in SHARED and name not in catalog.secrets:
                yield (
                    ("services", key, "secrets", n),
                    f"is {name}, which nothing provides; declare it below secrets: (kind generated, owner or setting), or name one of "
                    f"{', '.join(sorted((*SHARED, *catalog.secrets)))}",
                )


def _nested_paths(catalog: Catalog) -> Iterator[tuple[Path_, str]]:
    """A path inside another service's path would vanish with each of that service's releases."""
    for key, service in catalog.services.items():
        for other, owner in catalog.services.items():
            if key != other and service.path.startswith(owner.path.rstrip("/") + "/"):
                yield ("services", key, "path"), f"is {service.path!r}, inside the path of service {other}"


def _database(here: Path_, service: Service) -> Iterator[tuple[Path_, str]]:
    database = service.database
    if database is None:
        if service.steps.migrate is not None:
            yield (*here, "steps", "migrate"), "needs a database, and the service has none"
        if service.schema_query is not None:
            yield (*here, "schema_query"), "needs a database, and the service has none"
        return
    at = (*here, "database")
    if not database.name.startswith("mo_"):
        yield (*at, "name"), f"is {database.name!r}; it must begin with mo_"
    if not database.user.startswith("svc_"):
        yield (*at, "user"), f"is {database.user!r}; it must begin with svc_"
    if (database.server == "external-postgresql") != (database.engine == "postgresql"):
        allowed = "external-postgresql" if database.engine == "postgresql" else "plesk, external-mariadb"
        yield (*at, "server"), f"is {database.server!r}, which is no {database.engine} server; allowed: {allowed}"


def _steps(here: Path_, service: Service) -> Iterator[tuple[Path_, str]]:
    migrate = service.steps.migrate
    if migrate is None:
        return
    at = (*here, "steps", "migrate")
    if migrate.kind in ("drush", "command"):
        if not migrate.commands:
            yield (*at, "commands"), f"is missing; a migration of kind {migrate.kind} needs the commands to run"
    elif migrate.directory is None:
        yield (*at, "directory"), f"is missing; a migration of kind {migrate.kind} needs the directory that holds its steps"
    if migrate.version is not None and migrate.kind != "command":
        yield (*at, "version"), f"is for kind command; of kind {migrate.kind} the build knows the versions"
    elif migrate.version is not None and service.schema_query is None:
        yield (*at, "version"), "needs a schema_query, which it is compared with"


def _cycles(catalog: Catalog) -> Iterator[tuple[Path_, str]]:
    done: set[str] = set()
    for start in catalog.services:
        trail: list[str] = []
        pending = [(start, 0)]
        while pending:
            key, depth = pending.pop()
            del trail[depth:]
            if key in trail:
                circle = [*trail[trail.index(key) :], key]
                yield ("services", key, "after"), f"makes a circle: {' after '.join(circle)}"
                done.update(circle)
                continue
            if key in done or key not in catalog.services:
                continue
            trail.append(key)
            pending += [(other, depth + 1) for other in catalog.services[key].after]
        done.add(start)
        done.update(trail)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
