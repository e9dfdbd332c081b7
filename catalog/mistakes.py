"""Turns Pydantic's errors into sentences for the person who wrote the file."""

from __future__ import annotations

import difflib
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong and what is allowed, without the place (the caller names it) and without a full stop.

    Holds at most 60 characters of the value found.
    """
    kind, context, found = error["type"], error.get("ctx", {}), shorten(error.get("input"))
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        key = str(error["loc"][-1])
        keys = allowed_keys(model, error["loc"][:-1])
        near = difflib.get_close_matches(key, keys, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"is not a known key{hint}; allowed: {', '.join(sorted(keys))}"
    if kind == "literal_error":
        expected = str(context.get("expected", "")).replace("'", "")
        return f"is {found}; allowed: {expected.replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return f"is {found}; it must match {context.get('pattern')}"
    if kind in _EXPECTED:
        return f"is {found}; it must be {_EXPECTED[kind]}"
    message = error["msg"]
    return f"is {found}; {message[:1].lower()}{message[1:]}"


def shorten(value: Any) -> str:
    """``value`` as a person sees it in an error, at most 60 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else text[:56] + "…" + text[-1]


def allowed_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at ``path`` below ``model`` knows, as they are written."""
    here: Any = model
    for step in path:
        here = _below(here, step)
        if here is None:
            return []
    found = _model_in(here)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _below(kind: Any, step: int | str) -> Any:
    model = _model_in(kind) if get_origin(kind) is not dict else None
    if model is not None:
        for name, field in model.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
        return None
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    if get_origin(kind) in (tuple, list):
        return get_args(kind)[0]
    return next((found for part in get_args(kind) if (found := _below(part, step)) is not None), None)


def _model_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if get_origin(kind) in (dict, tuple, list):
        return None
    return next((found for part in get_args(kind) if (found := _model_in(part)) is not None), None)
