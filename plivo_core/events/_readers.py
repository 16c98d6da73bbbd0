"""From a JSON value to a field, by the field's annotation.

A field is declared once, in its class; the text of its annotation picks the reader here. A reader
takes any JSON value but null and returns what the field holds, or ``None`` when the value is of the
wrong kind; it never raises (PROTOCOL.md 8.2: a peer's odd member must not cost the message).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import TypeAlias, cast

__all__ = ["READERS", "Number", "Reader", "read_number", "read_text", "read_text_or_number"]

Number: TypeAlias = int | float
"""A finite JSON number. Whole numbers are ``int``, fractions stay ``float``; never a bool."""

Reader: TypeAlias = Callable[[object], object]

# RFC 8259, section 6. int() alone would also read Arabic-Indic digits, "1_000" and "+1".
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Far beyond any counter or time; int() of a long text is quadratic.
_MAX_NUMBER = 64


def read_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def read_number(value: object) -> Number | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        text = value.strip()
        match = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER else None
        if match is not None:
            if match.group(1) is None and match.group(2) is None:
                return int(text)
            number = float(text)
            return number if isfinite(number) else None
    return None


def read_text_or_number(value: object) -> str | None:
    """Stream timestamps are text on the wire; some peers send numbers (PROTOCOL.md 9.2)."""
    if isinstance(value, str):
        return value
    number = read_number(value)
    try:
        return None if number is None else str(number)
    except ValueError:  # more digits than Python is willing to print
        return None


def read_mapping(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _list_of(kind: type) -> Reader:
    def read(value: object) -> object:
        if isinstance(value, (list, tuple)):
            items = cast("list[object] | tuple[object, ...]", value)
            if all(isinstance(item, kind) for item in items):
                return items
        return None

    return read


def _read_any(value: object) -> object:
    return value


_read_texts = _list_of(str)
_read_records = _list_of(Mapping)
_read_list = _list_of(object)

READERS: Mapping[str, Reader] = {
    "str": read_text,
    "str | None": read_text,
    "bool": read_bool,
    "bool | None": read_bool,
    "Number": read_number,
    "Number | None": read_number,
    "Mapping[str, object]": read_mapping,
    "Mapping[str, object] | None": read_mapping,
    "Sequence[str]": _read_texts,
    "Sequence[Mapping[str, object]]": _read_records,
    "Sequence[object] | None": _read_list,
    "object": _read_any,
}
