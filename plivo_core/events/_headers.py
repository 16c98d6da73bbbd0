"""The ``extra_headers`` of a stream: three spellings of a small table of text (PROTOCOL.md 9.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast
from urllib.parse import unquote

from plivo_core.codec import DEFAULT_CODEC, MalformedMessage

__all__ = ["parse_extra_headers", "read_extra_headers"]

_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def parse_extra_headers(value: object) -> dict[str, str]:
    """The headers given to ``<Stream extraHeaders=...>``, from whatever form the platform sends.

    ``value`` is JSON object text, ``k=v;k2=v2``, ``k=v,k2=v2``, an object, or anything else, which
    gives nothing. JSON members that are not text become their JSON text; values of the other two
    forms are percent-decoded, with plus left alone. A repeated name: the last one counts.
    """
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Mapping):
        return _from_object(cast("Mapping[object, object]", value))
    return {}


def read_extra_headers(value: object) -> dict[str, str] | None:
    """The reader of the field: ``None`` for what is neither text nor object."""
    if isinstance(value, (str, Mapping)):
        return parse_extra_headers(cast("object", value))
    return None


def _from_text(text: str) -> dict[str, str]:
    text = text.strip()
    if text in ("{}", ""):  # what the platform sends with every packet when there are none
        return {}
    if text[0] == "{":
        try:
            return _from_object(cast("Mapping[object, object]", DEFAULT_CODEC.decode(text)))
        except MalformedMessage:
            pass
    headers: dict[str, str] = {}
    for part in text.split(";" if ";" in text else ","):
        name, equals, value = part.partition("=")
        name = name.strip()
        if equals and name:
            headers[name] = unquote(value.strip())
    return headers


def _from_object(members: Mapping[object, object]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in members.items():
        if isinstance(name, str):
            if isinstance(value, str):
                headers[name] = value
            else:
                try:
                    headers[name] = _dumps(value)
                except (TypeError, ValueError, RecursionError):
                    continue  # not JSON: given as an object, by our own side
    return headers
