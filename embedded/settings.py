"""``Pulumi.yaml``, ``Pulumi.<stack>.yaml`` and the selected stack, read and written as the CLI does; comments and order are kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from embedded import config_types
from embedded.property_path import remove_at, set_at
from embedded.state.checkpoint import number
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StateError
from embedded.yaml_text import Dumper, Loader, load_yaml

NO_PROJECT: Final = (
    "no Pulumi.yaml project file found (searching upwards from {0}). If you have not created a project yet, "
    "use `pulumi new` to do so: no project file found"
)


@dataclass(frozen=True)
class ProjectFile:
    """``Pulumi.yaml``: what the engine needs of it. ``config`` has its default values by full key, ``types`` those that are declared."""

    path: Path
    name: str
    main: str
    virtualenv: str | None
    backend_url: str | None
    description: str
    settings_directory: Path
    config: dict[str, Any]
    types: dict[str, config_types.ConfigType]

    @property
    def directory(self) -> Path:
        """The project's root."""
        return self.path.parent

    def settings_path(self, stack: str) -> Path:
        """``Pulumi.<stack>.yaml``."""
        return self.settings_directory / f"Pulumi.{stack}.yaml"


def find_project(start: Path) -> ProjectFile | None:
    """The project whose ``Pulumi.yaml`` is in ``start`` or nearest above; ``None`` where there is none."""
    for directory in (start, *start.parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (directory / name).is_file():
                return _project(directory / name)
    return None


def _project(path: Path) -> ProjectFile:
    document = load_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("name"), str) or not document["name"]:
        raise StateError(f"could not load project file {path}: project is missing a 'name' attribute")
    runtime = document.get("runtime")
    options: Any = runtime.get("options") if isinstance(runtime, dict) else None
    runtime = runtime.get("name") if isinstance(runtime, dict) else runtime
    if runtime is None:
        raise StateError(f"could not load project file {path}: project is missing a 'runtime' attribute")
    if runtime != "python":
        raise NotSupportedError(f"the runtime {runtime!r}")
    main = document.get("main") or "."
    options = options if isinstance(options, dict) else {}
    if str(main).endswith(".py"):
        main = str(Path(main).parent)
    virtualenv = options.get("virtualenv")
    backend = document.get("backend") or {}
    directory = path.parent / str(document.get("stackConfigDir") or ".")
    config: dict[str, Any] = {}
    types: dict[str, config_types.ConfigType] = {}
    declared = document.get("config")
    for key, entry in declared.items() if isinstance(declared, dict) else ():
        typed = isinstance(entry, dict) and bool({"type", "default", "value"} & entry.keys())
        value = entry.get("value", entry.get("default")) if typed else entry
        full = str(key) if ":" in str(key) else f"{document['name']}:{key}"
        if value is not None:
            config[full] = value
        if (declared_type := config_types.read(entry)) is not None:
            types[full] = declared_type
    return ProjectFile(
        path,
        document["name"],
        str(path.parent / str(main)),
        str(path.parent / virtualenv) if virtualenv else None,
        backend.get("url") if isinstance(backend, dict) else None,
        str(document.get("description") or ""),
        directory,
        config,
        types,
    )


def full_key(text: str, project: str | None) -> str:
    """``namespace:key`` of what the user wrote. Raises ``StateError`` for what is no key."""
    parts = text.split(":")
    if len(parts) == 3 and parts[1] == "config":
        parts = [parts[0], parts[2]]
    if len(parts) > 2 or not all(parts):
        raise StateError(
            f"invalid configuration key: could not parse {text} as a configuration key "
            "(configuration keys should be of the form `<namespace>:<name>`)"
        )
    return ":".join(parts) if len(parts) == 2 else f"{project}:{text}"


def is_secure(value: Any) -> bool:
    """Whether ``value`` is ``{"secure": <ciphertext>}``."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("secure"), str)


def has_secure(value: Any) -> bool:
    """Whether ``value`` is secure, or holds a secure one."""
    if isinstance(value, dict):
        return is_secure(value) or any(has_secure(item) for item in value.values())
    return isinstance(value, list) and any(has_secure(item) for item in value)


def revealed(value: Any, crypter: Crypter | None, secret: Any = None) -> Any:
    """``value`` with its secure parts decrypted; without a crypter they are ``[secret]``. ``secret`` wraps what was secure."""
    if isinstance(value, dict):
        if is_secure(value):
            text = crypter.decrypt(value["secure"]) if crypter else "[secret]"
            return secret(text) if secret else text
        return {key: revealed(item, crypter, secret) for key, item in value.items()}
    return [revealed(item, crypter, secret) for item in value] if isinstance(value, list) else value


def as_text(value: Any) -> str:
    """A revealed value as the program gets it: a string as it is, none as an empty one, an object as compact JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else _json(_sorted(value))


def as_recorded(value: Any) -> Any:
    """A value as the history keeps it, secure parts as they are: an object with its keys in order, all else as text."""
    return _sorted(value) if isinstance(value, (dict, list)) else as_text(value)


def _sorted(value: Any) -> Any:
    """Keys in order, and numbers as Go writes them: whole ones without a fraction."""
    if isinstance(value, dict):
        return {str(key): _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return number(value) if isinstance(value, float) else value


def _json(value: Any) -> str:
    """Compact JSON of what ``_sorted`` gives, with the numbers of Go's encoder."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key, ensure_ascii=False)}:{_json(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if 1e-6 <= abs(value) < 1e-4:
        return f"{Decimal(repr(value)):f}"
    return re.sub(r"e([+-])0+", r"e\1", repr(value))


@dataclass
class StackSettings:
    """``Pulumi.<stack>.yaml``. A change rewrites only its own lines; ``save`` writes the file."""

    path: Path
    text: str = ""
    document: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> StackSettings:
        """The settings in ``path``; empty ones where there is no such file."""
        if not path.exists():
            return cls(path)
        document = load_yaml(path)
        if document is None:
            document = {}
        if not isinstance(document, dict) or not isinstance(document.get("config") or {}, dict):
            raise StateError(f"could not read {path}: expected a mapping with 'config', a mapping of its own")
        for key in ("environment", "encryptedkey"):
            if document.get(key):
                raise NotSupportedError(f"'{key}' in {path.name}")
        provider = document.get("secretsprovider")
        if provider not in (None, "", "default", "passphrase"):
            raise NotSupportedError(f"the secrets provider {str(provider).split(':')[0]!r} in {path.name}")
        return cls(path, path.read_text(encoding="utf-8"), document)

    @property
    def salt(self) -> str | None:
        """The ``encryptionsalt``."""
        salt = self.document.get("encryptionsalt")
        return salt if isinstance(salt, str) and salt else None

    @salt.setter
    def salt(self, value: str) -> None:
        lines = [line for line in self.text.splitlines(keepends=True) if not line.startswith("encryptionsalt:")]
        self.text = f"encryptionsalt: {value}\n" + "".join(lines)
        self.document["encryptionsalt"] = value

    @property
    def config(self) -> dict[str, Any]:
        """The values by full key, secure ones as ``{"secure": …}``."""
        return self.document.get("config") or {}

    def set(self, key: str, value: Any, path: list[str | int] | None = None) -> None:
        """Sets ``key``, or with ``path`` what lies below it. Raises ``StateError`` where the path does not fit what is there."""
        config = dict(self.config)
        config[key] = set_at(config.get(key), path, value) if path else value
        self._replace(key, config)

    def remove(self, key: str, path: list[str | int] | None = None) -> None:
        """Removes ``key``, or what lies at ``path`` below it; nothing happens where there is none."""
        config = dict(self.config)
        if key not in config:
            return
        if path:
            config[key] = remove_at(config[key], path)
        else:
            del config[key]
        self._replace(key, config)

    def _replace(self, key: str, config: dict[str, Any]) -> None:
        lines = self.text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        entry = _entry(key, config[key]) if key in config else []
        section = _section(self.text)
        self.document["config"] = config
        if section is None or not config:
            outside = lines if section is None else lines[: section.start] + lines[section.end :]
            body = ["config:\n"] + [line for each, value in config.items() for line in _entry(each, value)] if config else []
            self.text = "".join(outside + body)
            if not config:
                del self.document["config"]
        elif key in section.entries:
            first, last = section.entries[key]
            entry = _as_quoted(lines[first:last], entry, config.get(key))
            self.text = "".join(lines[:first] + entry + lines[last:])
        else:
            self.text = "".join(lines[: section.end] + entry + lines[section.end :])

    def save(self) -> None:
        """Writes the file, or removes nothing: an empty document is an empty file."""
        from embedded.state.files import replace

        replace(self.path, self.text.encode())

    def merged(self, project: ProjectFile) -> dict[str, Any]:
        """The values of the stack over the project's defaults."""
        return project.config | self.config

    def plain(self, project: ProjectFile, crypter: Crypter | None) -> dict[str, str]:
        """What the program gets: each value decrypted, as text."""
        return {key: as_text(revealed(value, crypter)) for key, value in self.merged(project).items()}


@dataclass(frozen=True)
class _Section:
    """Line numbers of ``config`` in the file, and of its entries."""

    start: int
    end: int
    entries: dict[str, tuple[int, int]]


def _section(text: str) -> _Section | None:
    root = yaml.compose(text, Loader=Loader) if text.strip() else None
    lines = text.splitlines()
    if not isinstance(root, yaml.MappingNode):
        return None
    for name, node in root.value:
        if name.value == "config" and isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
            if any(key.start_mark.column != 2 for key, _ in node.value):
                return None
            starts = [key.start_mark.line for key, _ in node.value]
            last = node.value[-1][1].end_mark
            ends = [*starts[1:], last.line + (1 if last.column else 0)]
            spans = [(start, _without_comments(lines, start, end)) for start, end in zip(starts, ends, strict=True)]
            entries = {key.value: span for (key, _), span in zip(node.value, spans, strict=True)}
            return _Section(name.start_mark.line, spans[-1][1], entries)
    return None


def _without_comments(lines: list[str], start: int, end: int) -> int:
    """``end`` without the comments and blank lines before it, which belong to what follows."""
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _as_quoted(old: list[str], new: list[str], value: Any) -> list[str]:
    """``new`` with the double quotes that the text in its place had, as the CLI leaves them."""
    if len(old) == len(new) == 1 and isinstance(value, str) and old[0].rstrip().endswith('"'):
        name, separator, text = new[0].partition(": ")
        if separator and ': "' in old[0] and not text.startswith(('"', "'", "|", ">")):
            return [f"{name}: {json.dumps(value, ensure_ascii=False)}\n"]
    return new


def _entry(key: str, value: Any) -> list[str]:
    text: str = yaml.dump({key: value}, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000_000)
    return [f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True)]


class Workspace:
    """Where the CLI keeps the selected stack: ``$PULUMI_HOME/workspaces/<project>-<sha1 of Pulumi.yaml's path>-workspace.json``."""

    def __init__(self, home: Path, project: ProjectFile) -> None:
        digest = hashlib.sha1(str(project.path).encode(), usedforsecurity=False).hexdigest()
        self._path = home / "workspaces" / f"{project.name}-{digest}-workspace.json"

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise StateError(f"unable to read workspace settings: could not parse file {self._path}: {problem}") from None
        return document if isinstance(document, dict) else {}

    def selected(self, backend_url: str) -> str | None:
        """The selected stack's name, as it was written."""
        document = self._read()
        stacks = document.get("stacks")
        chosen = (stacks.get(backend_url) if isinstance(stacks, dict) else None) or document.get("stack")
        return chosen if isinstance(chosen, str) and chosen else None

    def select(self, backend_url: str, stack: str | None) -> None:
        """Selects a stack, or none. Both of the places that versions of the CLI read are written."""
        document = self._read()
        stacks = document.get("stacks") if isinstance(document.get("stacks"), dict) else {}
        assert stacks is not None
        stacks = {url: name for url, name in stacks.items() if url != backend_url}
        document.pop("stack", None)
        if stack:
            document["stack"] = stack
            stacks[backend_url] = stack
        document |= {"stacks": stacks}
        if not stacks:
            del document["stacks"]
        if not document:
            self._path.unlink(missing_ok=True)
            return
        from embedded.state.files import replace

        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace(self._path, json.dumps(document, indent=4).encode(), mode=0o600)


def pulumi_home() -> Path:
    """``PULUMI_HOME``, else ``~/.pulumi``."""
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
