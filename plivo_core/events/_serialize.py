"""From an event to the message the platform would have sent.

The other direction of every message, for simulators, tests and fuzzers:
``parse_event(serialize_event(event)) == event`` for every event that ``parse_event`` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import cast

from plivo_core.codec import DEFAULT_CODEC
from plivo_core.events._base import (
    AgentEvent,
    Place,
    StreamEvent,
    StreamLayout,
    WireEvent,
    stream_layout,
)
from plivo_core.events._local import UnknownEvent
from plivo_core.events._stream import DEFAULT_RATE, StreamMedia, StreamStart

__all__ = ["serialize_event"]

_NOTHING: Mapping[str, object] = {}


def serialize_event(event: AgentEvent | StreamEvent | UnknownEvent) -> dict[str, object]:
    """The JSON object of ``event`` in the platform's spelling and nesting.

    Members that are ``None``, and members of stream messages that have their default, are left out.
    ``extra`` is merged in and wins over a field whose place it takes. Raises
    :class:`~plivo_core.errors.InvalidCommandError` for ``extra_headers`` that JSON cannot carry.
    """
    if isinstance(event, StreamEvent):
        return _write_stream_event(event)
    if isinstance(event, AgentEvent):
        return _write_agent_event(event)
    return dict(event)


def _name_key(event: WireEvent, *, usual: str) -> str:
    """The key that names the message: the usual one, unless ``extra`` says the other one did.

    A falsy ``type`` is extra only beside an ``event`` that named the message, and an ``event``
    only beside a ``type`` that did (PROTOCOL.md 8.2, rule 1).
    """
    if event.extra.get("type"):
        return "type"
    if "type" in event.extra:
        return "event"
    return "type" if "event" in event.extra else usual


def _write_agent_event(event: AgentEvent) -> dict[str, object]:
    key = _name_key(event, usual="type")
    message: dict[str, object] = {key: event.type}
    for f in fields(event):
        value = getattr(event, f.name)
        if value is not None and f.name != "extra":
            message[f.name] = value
    message.update((name, value) for name, value in event.extra.items() if name != key)
    return message


def _write_stream_event(event: StreamEvent) -> dict[str, object]:
    layout = stream_layout[event.type]
    key = _name_key(event, usual="event")
    message: dict[str, object] = {key: event.type}
    for f in fields(event):
        if f.name in ("extra", "content_type", "sample_rate"):
            continue
        value = getattr(event, f.name)
        if value == (f.default_factory() if callable(f.default_factory) else f.default):
            continue
        free = _free(layout.members[f.name][1], event.extra)
        if free:
            if f.name == "extra_headers":
                value = DEFAULT_CODEC.encode(value)
            _put(message, free[0], value)
    if isinstance(event, (StreamStart, StreamMedia)):
        _write_format(message, event, layout)
    _merge(message, event.extra, name_key=key)
    return message


def _write_format(
    message: dict[str, object], event: StreamStart | StreamMedia, layout: StreamLayout
) -> None:
    encoding_places = layout.members["content_type"][1]
    rate_places = layout.members["sample_rate"][1]
    encodings = _free(encoding_places, event.extra)
    rates = _free(rate_places, event.extra)
    encoding = event.content_type
    rate = event.sample_rate
    # A default rate must be written when it had precedence over one that extra holds.
    if not encoding and rate == DEFAULT_RATE and len(rates) == len(rate_places):
        return
    if rates:
        _put(message, rates[0], rate)
    elif rate != DEFAULT_RATE:
        # Every place of the rate holds something unreadable: it came as a parameter.
        encoding = f"{encoding};rate={rate!r}"
    if encodings and encoding:
        _put(message, encodings[0], encoding)


def _free(places: Iterable[Place], extra: Mapping[str, object]) -> list[Place]:
    """The places that ``extra`` leaves free, the most deeply nested (the platform's own) first."""
    free: list[Place] = []
    for place in places:
        node = extra
        for parent in place.parents:
            child = node.get(parent, _NOTHING)
            if not isinstance(child, Mapping):
                break  # not an object there: nothing fits inside
            node = cast("Mapping[str, object]", child)
        else:
            if place.key not in node:
                free.append(place)
    return sorted(free, key=lambda place: -len(place.parents))


def _put(message: dict[str, object], place: Place, value: object) -> None:
    for name in place.parents:
        message = cast("dict[str, object]", message.setdefault(name, {}))
    message[place.key] = value


def _merge(into: dict[str, object], extra: Mapping[str, object], *, name_key: str = "") -> None:
    # At most as deep as our own objects are: a peer's value is never walked.
    for key, value in extra.items():
        mine = into.get(key)
        if type(mine) is dict and isinstance(value, Mapping):
            _merge(cast("dict[str, object]", mine), cast("Mapping[str, object]", value))
        elif key != name_key:
            into[key] = value
