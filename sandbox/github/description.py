"""GitHub's published description of its API: which operation a request is, whether it is well formed, what its answer looks like."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_BASE = "urn:github"
_UNDOCUMENTED = {"repos/create-or-update-environment": ("can_admins_bypass",)}
"""Keys that GitHub takes (its own provider sends them) and its description lacks."""
_BY_TYPE: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
_BY_FORMAT = {"date-time": "2026-01-01T00:00:00Z", "uri": "https://github.example/", "email": "nobody@github.example"}


@dataclass(frozen=True)
class Operation:
    """One operation of the description. ``name``: its ``operationId``; ``path``: the decoded values of its path's parameters."""

    name: str
    path: dict[str, str]
    parameters: list[dict[str, Any]]
    body: dict[str, Any] | None
    body_required: bool
    responses: dict[str, Any]


class Description:
    """The extract in ``openapi.json``, ready for questions."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        whole = document or json.loads((Path(__file__).parent / "openapi.json").read_text())
        self._whole = _as_json_schema(whole)
        resource = Resource.from_contents(self._whole, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_BASE, resource)
        self._paths = [(_pattern(path), item) for path, item in self._whole["paths"].items()]
        # Literal segments win over parameters: secrets/public-key is not the secret «public-key».
        self._paths.sort(key=lambda pair: pair[0].pattern.count("(?P<"))

    def find(self, method: str, path: str) -> Operation | int:
        """The operation of a request, or the status that says there is none: 404 for the path, 405 for the method."""
        wrong_method = False
        for pattern, item in self._paths:
            match = pattern.fullmatch(path)
            if not match:
                continue
            found = item.get(method.lower())
            if found is None:
                wrong_method = True
                continue
            body = found.get("requestBody", {})
            return Operation(
                found["operationId"],
                {name: urllib.parse.unquote(value) for name, value in match.groupdict().items()},
                [self._resolved(parameter) for parameter in [*item.get("parameters", []), *found.get("parameters", [])]],
                body.get("content", {}).get("application/json", {}).get("schema"),
                bool(body.get("required")),
                found["responses"],
            )
        return 405 if wrong_method else 404

    def problems(self, operation: Operation, query: Mapping[str, list[str]], body: Any) -> list[str]:
        """What is wrong with a request; nothing where it is as described. ``body`` is parsed JSON or ``None``."""
        found = []
        for parameter in operation.parameters:
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter["in"] == "path":
                found += self._errors(_typed(operation.path[name], schema), schema, f"path {name}")
            elif parameter["in"] == "query" and name in query:
                found += self._errors(_typed(query[name][-1], schema), schema, f"query {name}")
            elif parameter["in"] == "query" and parameter.get("required"):
                found.append(f"query {name} is missing")
        described = {parameter["name"] for parameter in operation.parameters if parameter["in"] == "query"}
        found += [f"query {name} is not described" for name in query if name not in described]
        if body is None and operation.body_required:
            found.append("a body is missing")
        elif body is not None and operation.body is None:
            found.append("a body is not described")
        elif body is not None and operation.body is not None:
            if isinstance(body, dict):
                body = {key: value for key, value in body.items() if key not in _UNDOCUMENTED.get(operation.name, ())}
            found += self._errors(body, operation.body, "body")
        return found

    def wrong_answer(self, operation: Operation, status: int, body: Any) -> list[str]:
        """What GitHub would not have answered to this operation."""
        response = operation.responses.get(str(status))
        if response is None:
            return [] if status >= 400 else [f"status {status} is not described"]
        schema = self._resolved(response).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return [] if body is None else ["a body is not described"]
        return self._errors(body, schema, "answer")

    def sample(self, name: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """An object of the schema ``name``: ``known``, and for what else it must have the plainest values that fit."""
        made = self._plain(self._whole["components"]["schemas"][name], known)
        assert isinstance(made, dict)
        return made

    def _plain(self, schema: dict[str, Any], known: Mapping[str, Any] | None = None) -> Any:
        schema = self._resolved(schema)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                kinds = schema[choice]
                return None if {"type": "null"} in kinds and known is None else self._plain(kinds[0], known)
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                merged.update(self._plain(part, known))
            return merged
        kind = schema.get("type")
        if isinstance(kind, list):
            if known is None and "null" in kind:
                return None
            kind = kind[0]
        if "enum" in schema:
            return schema["enum"][0]
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties", {})
            made = {
                key: self._plain(properties.get(key, {})) for key in schema.get("required", []) if not known or key not in known
            }
            return {**made, **(known or {})}
        return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind), ""))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            value: Any = self._whole
            for step in schema["$ref"].removeprefix(f"{_BASE}#/").split("/"):
                value = value[step]
            schema = value
        return schema

    def _errors(self, value: Any, schema: dict[str, Any], where: str) -> list[str]:
        validator = jsonschema.Draft202012Validator(schema, registry=self._registry)
        # The value itself is not repeated: it may be a secret.
        return [
            f"{where}{error.json_path[1:]}: against {error.validator} {_short(error.validator_value)}"
            for error in validator.iter_errors(value)
        ]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        "".join(f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", path))
    )


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "integer":
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _as_json_schema(value: Any) -> Any:
    """OpenAPI 3.0 says ``nullable``; JSON Schema knows the type ``null``. References become absolute."""
    if isinstance(value, list):
        return [_as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _as_json_schema(item) for key, item in value.items() if key != "nullable" or not isinstance(item, bool)}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = _BASE + made["$ref"]
    if value.get("nullable") is not True:
        return made
    if isinstance(made.get("type"), str) and not {"anyOf", "oneOf", "allOf"} & made.keys():
        made["type"] = [made["type"], "null"]
        if "enum" in made and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
        return made
    return {"anyOf": [made, {"type": "null"}]}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"
