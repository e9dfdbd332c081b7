"""XML reports as a stream of elements, by a hardened parser (no entities, no DTD, no network), in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import errors

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from evidence.model import ReportError

MAX_DEPTH = 100
_CUT = {
    errors.codes[text]
    for text in (
        errors.XML_ERROR_NO_ELEMENTS,
        errors.XML_ERROR_UNCLOSED_TOKEN,
        errors.XML_ERROR_PARTIAL_CHAR,
        errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
"""Expat's errors for a file that ends too early."""


def elements(stream: BinaryIO) -> Iterator[tuple[str, Element, tuple[str, ...]]]:
    """``("start"|"end", element, tags from the root to it)`` for every element of a whole file. An element's children are forgotten
    once they ended, so a reader counts at their ends. Cobertura's DOCTYPE is allowed; entities and external references are not."""
    path: list[Element] = []
    try:
        for event, element in iterparse(
            stream, events=("start", "end"), forbid_dtd=False, forbid_entities=True, forbid_external=True
        ):
            if event == "start":
                path.append(element)
                if len(path) > MAX_DEPTH:
                    raise ReportError("unreadable", f"is nested deeper than {MAX_DEPTH}")
                yield "start", element, tuple(e.tag for e in path)
            else:
                yield "end", element, tuple(e.tag for e in path)
                path.pop()
                if path:
                    path[-1].remove(element)
    except ParseError as error:
        what = "is cut short" if error.code in _CUT else "is no XML"
        raise ReportError("unreadable", f"{what}: line {error.position[0]}, column {error.position[1]}") from None
    except DefusedXmlException as error:
        raise ReportError("unreadable", f"declares what a report must not: {type(error).__name__}") from None
    except (ValueError, LookupError, UnicodeError) as error:
        raise ReportError("unreadable", f"is no XML: {type(error).__name__}") from None


def whole(element: Element, name: str, default: int | None = None) -> int:
    """An attribute that is an integer of zero or more. Raises ``ReportError`` where it is not."""
    value = element.get(name)
    if value is None and default is not None:
        return default
    if value is None or not (value.isascii() and value.isdigit() and len(value) < 16):
        raise ReportError("unreadable", f"gives no count in {name!r} of <{element.tag}>")
    return int(value)
