"""From a message to an event: lenient about members, strict about messages (PROTOCOL.md 8.2).

A member that is missing or null takes its default. One that no field can hold stays in ``extra``
under its wire name, nested as it came, so that writing an event back loses nothing. No input makes
this raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from plivo_core.codec import DEFAULT_CODEC, Codec, MalformedMessage
from plivo_core.events._base import (
    AGENT_EVENTS,
    AgentEvent,
    Place,
    StreamEvent,
    StreamLayout,
    agent_readers,
    stream_layout,
)
from plivo_core.events._headers import parse_extra_headers
from plivo_core.events._local import InvalidMessage, UnknownEvent
from plivo_core.events._readers import Number, Reader, read_number, read_text
from plivo_core.events._stream import StreamMedia, new_packet

__all__ = ["parse_event", "read_media_fast", "read_stream_event", "split_rate"]


def parse_event(
    data: str | bytes | Mapping[str, object], *, codec: Codec = DEFAULT_CODEC
) -> AgentEvent | StreamEvent | UnknownEvent | InvalidMessage:
    """The event in one message: its text, the same as UTF-8 bytes, or the decoded object.

    Never raises on what a peer sends: a name this version does not know gives
    :class:`UnknownEvent`, text that is no JSON object :class:`InvalidMessage`. The event shares
    nested values with an object passed in; do not change them afterwards.
    """
    if isinstance(data, (str, bytes)):
        try:
            message: Mapping[str, object] = codec.decode(data)
        except MalformedMessage as error:
            return InvalidMessage(raw=data, reason=error.reason)
    else:
        message = data
    name = message.get("type") or message.get("event")
    if name == "media":
        return read_media_fast(message) or read_stream_event(stream_layout["media"], message)
    if isinstance(name, str):
        if name in agent_readers:
            return _read_agent_event(name, message)
        if name in stream_layout:
            return read_stream_event(stream_layout[name], message)
    return UnknownEvent(message)


def _read_agent_event(name: str, message: Mapping[str, object]) -> AgentEvent:
    readers = agent_readers[name]
    fields: dict[str, object] = {}
    extra = _without_name(message)
    for key, value in message.items():
        reader = readers.get(key)
        if reader is not None:
            read = None if value is None else reader(value)
            if read is not None:
                fields[key] = read
            if read is not None or value is None:
                del extra[key]
    return AGENT_EVENTS[name](**fields, extra=extra)


def _without_name(message: Mapping[str, object]) -> dict[str, object]:
    """A copy without the member that named the message; the other one of the two is extra."""
    rest = dict(message)
    del rest["type" if rest.get("type") else "event"]
    for key in ("type", "event"):
        if rest.get(key, "") is None:
            del rest[key]
    return rest


class _Objects:
    """A stream message being taken apart: copies of its known objects, from which members go."""

    __slots__ = ("_at", "rest")

    def __init__(self, layout: StreamLayout, message: Mapping[str, object]) -> None:
        self.rest = _without_name(message)
        self._at: dict[tuple[str, ...], dict[str, object]] = {(): self.rest}
        for path in layout.objects:
            parent = self._at[path[:-1]]
            value = parent.get(path[-1])
            if isinstance(value, Mapping):
                parent[path[-1]] = self._at[path] = dict(cast("Mapping[str, object]", value))
            else:
                self._at[path] = {}
                if value is None:
                    parent.pop(path[-1], None)

    def take(self, places: tuple[Place, ...], reader: Reader) -> object:
        """The first value that can be read, or ``None``. Others stay, unless they say the same.

        Empty text counts as absent, so that an empty ``streamId`` does not hide the nested one.
        """
        found: object = None
        for place in places:
            parent = self._at[place.parents]
            value = parent.get(place.key)
            read = None if value is None else reader(value)
            if read is not None and found is None and read != "":
                found = read
            elif value is not None and (read is None or read not in ("", found)):
                continue
            parent.pop(place.key, None)
        return found

    def leftover(self, layout: StreamLayout) -> dict[str, object]:
        for path in reversed(layout.objects):
            parent = self._at[path[:-1]]
            if parent.get(path[-1]) is self._at[path] and not self._at[path]:
                del parent[path[-1]]
        return self.rest


def read_stream_event(layout: StreamLayout, message: Mapping[str, object]) -> StreamEvent:
    """Any stream message, whatever its shape."""
    objects = _Objects(layout, message)
    fields: dict[str, object] = {}
    rates: list[Number] = []

    def read_encoding(value: object) -> str | None:
        text = read_text(value)
        if text is None:
            return None
        content_type, rate = split_rate(text)
        if rate is not None:
            rates.append(rate)
        return content_type

    for name, (reader, places) in layout.members.items():
        read = objects.take(places, read_encoding if name == "content_type" else reader)
        if read is not None:
            fields[name] = read
    if rates and "sample_rate" in layout.members:
        fields.setdefault("sample_rate", rates[0])
    return layout.cls(**fields, extra=objects.leftover(layout))


def split_rate(encoding: str) -> tuple[str, Number | None]:
    """``audio/x-l16;rate=16000`` in two; other parameters, and a rate that is no number, stay."""
    head, *parameters = encoding.strip().split(";")
    rate: Number | None = None
    kept = [head]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        number = read_number(value) if name.strip().lower() == "rate" else None
        if number is None:
            kept.append(parameter)
        elif rate is None:
            rate = number
    return ";".join(kept).strip(), rate


def read_media_fast(message: Mapping[str, object]) -> StreamMedia | None:
    """``media`` as the platform sends it, 50 times a second; ``None`` for any other shape.

    The counts of members prove that nothing is left over. Must agree with
    :func:`read_stream_event`, which a property test checks.
    """
    media: Any = message.get("media")
    if media.__class__ is not dict or len(media) != 4:
        return None
    headers = message.get("extra_headers")
    if len(message) != (4 if headers is None else 5):
        return None
    try:
        number = message["sequenceNumber"]
        stream_id = message["streamId"]
        track = media["track"]
        timestamp = media["timestamp"]
        chunk = media["chunk"]
        payload = media["payload"]
    except KeyError:
        return None
    if (
        type(payload) is str
        and type(timestamp) is str
        and type(track) is str
        and type(stream_id) is str
        and type(number) is int
        and type(chunk) is int
        and (headers is None or type(headers) is str)
    ):
        table = {} if headers is None or headers == "{}" else parse_extra_headers(headers)
        return new_packet(payload, timestamp, track, chunk, stream_id, number, table)
    return None
