"""Hypothesis strategies for events: valid ones, and what a hostile peer sends in their place."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import cast

from hypothesis import strategies as st

from plivo_core.codec import DEFAULT_CODEC
from plivo_core.events import (
    AGENT_EVENTS,
    STREAM_EVENTS,
    AgentEvent,
    StreamEvent,
    serialize_event,
)

__all__ = ["agent_events", "events", "hostile_messages", "stream_events"]

_names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
# Within what a double holds exactly, so that any JSON library on the way keeps them.
_whole = st.integers(min_value=-(2**53), max_value=2**53)
_numbers = st.one_of(
    st.integers(min_value=0, max_value=100_000),
    st.floats(min_value=0, max_value=100_000, allow_nan=False),
    _whole,
)
_texts = st.text(max_size=30)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(_names, children, max_size=3)
    ),
    max_leaves=6,
)
_objects = st.dictionaries(_names, _json, max_size=3)
_times = st.datetimes().map(lambda when: when.isoformat(timespec="milliseconds") + "Z")
_phone_numbers = st.from_regex(r"\+[1-9][0-9]{7,13}", fullmatch=True)
_audio = st.binary(max_size=320).map(lambda audio: base64.b64encode(audio).decode())
_digit = st.sampled_from("0123456789*#ABCD")

_BY_ANNOTATION: Mapping[str, st.SearchStrategy[object]] = {
    "str": _texts,
    "bool": st.booleans(),
    "Number": _numbers,
    "object": _json,
    "Mapping[str, object]": _objects,
    "Mapping[str, str]": st.dictionaries(_names, _texts, max_size=3),
    "Sequence[str]": st.lists(_texts, max_size=3),
    "Sequence[Mapping[str, object]]": st.lists(_objects, max_size=2),
    "Sequence[object]": st.lists(_numbers, max_size=3),
}
_BY_FIELD: Mapping[str, st.SearchStrategy[object]] = {
    "caller": _phone_numbers,
    "callee": _phone_numbers,
    "target": _phone_numbers,
    "destination": st.lists(_phone_numbers, min_size=1, max_size=3),
    "digit": _digit,
    "digits": st.text(alphabet="0123456789*#ABCD", min_size=1, max_size=8),
    "payload": _audio,
    "speech_input_b64": _audio,
    "tracks": st.lists(st.sampled_from(["inbound", "outbound"]), unique=True),
    "track": st.sampled_from(["", "inbound", "outbound"]),
    "content_type": st.sampled_from(["", "audio/x-mulaw", "audio/x-alaw", "audio/x-l16"]),
    "sample_rate": st.sampled_from([8000, 16000, 24000]),
}


def _field(name: str, annotation: str) -> st.SearchStrategy[object]:
    required = annotation.removesuffix(" | None")
    strategy = _BY_FIELD.get(name)
    if strategy is None:
        text_time = required == "str" and (name == "timestamp" or name.endswith("_at"))
        strategy = _times if text_time else _BY_ANNOTATION[required]
    return strategy if required == annotation else st.none() | strategy


def _build(cls: type[AgentEvent] | type[StreamEvent]) -> st.SearchStrategy[object]:
    declared = [f for f in fields(cls) if f.name != "extra"]
    # A prefix that no field has: extra is for what the class does not know.
    extra = st.dictionaries(_names.map("x_{}".format), _json, max_size=2)
    # Optional, so that shrinking leaves a small event and most are as sparse as real ones.
    return st.fixed_dictionaries(
        {},
        optional={
            "extra": extra,
            **{f.name: _field(f.name, cast("str", f.type)) for f in declared},
        },
    ).map(lambda chosen: cast("Callable[..., object]", cls)(**chosen))


def agent_events() -> st.SearchStrategy[AgentEvent]:
    """Valid events of all 34 agent classes, with values as the platform sends them.

    Now and then with unknown members in ``extra``, as a newer platform would send.
    """
    every = st.sampled_from(sorted(AGENT_EVENTS))
    return cast("st.SearchStrategy[AgentEvent]", every.flatmap(lambda n: _build(AGENT_EVENTS[n])))


def stream_events() -> st.SearchStrategy[StreamEvent]:
    """Valid events of all six stream classes; payloads are base64 of up to 320 bytes."""
    every = st.sampled_from(sorted(STREAM_EVENTS))
    return cast("st.SearchStrategy[StreamEvent]", every.flatmap(lambda n: _build(STREAM_EVENTS[n])))


def events() -> st.SearchStrategy[AgentEvent | StreamEvent]:
    """Valid events of all 40 classes: ``parse_event(serialize_event(event)) == event``.

    Serialize them to get messages; for messages that a peer should not send, see
    :func:`hostile_messages`.
    """
    return st.one_of(agent_events(), stream_events())


_MEMBERS: list[str] = sorted(
    {f.name for cls in AGENT_EVENTS.values() for f in fields(cls)}
    | {
        "__class__", "accountId", "callId", "chunk", "contentType", "digit", "dtmf", "encoding",
        "event", "extra_headers", "media", "mediaFormat", "name", "payload", "rate", "sampleRate",
        "sequenceNumber", "start", "stop", "streamId", "timestamp", "track", "tracks", "type",
    }
)  # fmt: skip
_odd_texts: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        [
            *("", " ", "\0", "\ud800", "stop", "media", "__class__"),
            *("NaN", "Infinity", "-0", "1e999", " 16000 ", "0x10", "1_000", "\u0663"),
            *("9" * 64, "9" * 65),
            *("{", "{}", '{"a":1}', "a=1;b", "%ff=%zz"),
            *(";rate=8000", "audio/x-l16;rate=16000", "audio/x-l16;rate=fast;rate=8000"),
        ]
    ),
    st.text(alphabet=st.characters(), max_size=20),  # surrogates included
)
_odd_scalars: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**300, -(10**4000), 2**63, 0]),
    st.floats(),
    _odd_texts,
)
_odd_members: st.SearchStrategy[str] = st.one_of(st.sampled_from(_MEMBERS), st.text(max_size=8))
_odd_values: st.SearchStrategy[object] = st.recursive(
    _odd_scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(_odd_members, children, max_size=5)
    ),
    max_leaves=12,
)
_known_names = st.sampled_from([*AGENT_EVENTS, *STREAM_EVENTS])


@st.composite
def _odd_objects(draw: st.DrawFn) -> dict[str, object]:
    """A message with a known name, or nearly, whose members are of any kind."""
    message: dict[str, object]
    if draw(st.booleans()):  # a valid message in which some members were replaced
        message = serialize_event(draw(events()))
    else:
        message = {draw(st.sampled_from(["type", "event"])): draw(_known_names)}
    message.update(draw(st.dictionaries(_odd_members, _odd_values, max_size=5)))
    nested = draw(st.sampled_from(["", "start", "media", "dtmf"]))
    if nested:
        inner: dict[str, object] = draw(st.dictionaries(_odd_members, _odd_values, max_size=5))
        message[nested] = inner
    return message


@st.composite
def _odd_json(draw: st.DrawFn) -> str:
    """Text that is JSON only for lenient parsers, or not an object, or too deep."""
    depth = draw(st.sampled_from([1, 63, 64, 65, 2000, 100_000]))
    named = f'"type":"{draw(_known_names)}"'
    members = draw(
        st.sampled_from(
            [
                f'{named},"x":{"[" * depth}{"]" * depth}',
                f'{named},"type":"stop","duration_ms":1,"duration_ms":[]',
                f'{named},"frequency_hz":NaN,"duration_ms":-Infinity',
                f'{named},"frequency_hz":1e999',
                f'{named},"retry_count":{"9" * 5000}',
                f'{named},"text":"\\ud800"',
                f"{named},",
            ]
        )
    )
    return draw(
        st.sampled_from(
            [
                *("{" + members + "}", "{" + members + "}}", "\ufeff{" + members + "}"),
                *('{"a":' * depth, "[1,2]", '"stop"', "null", "17", "", " "),
            ]
        )
    )


def hostile_messages() -> st.SearchStrategy[str | bytes | dict[str, object]]:
    """What a peer may send and should not, as text, as bytes and as decoded objects.

    Known names with members of the wrong kind, nulls, numeric and odd texts, huge integers, NaN
    (objects only: it is no JSON), lone surrogates, both spellings at once, unknown names,
    duplicate members, deep nesting, text that is no object, bytes that are no UTF-8.
    ``parse_event`` gives an event for every one of them.
    """
    objects: st.SearchStrategy[dict[str, object]] = st.one_of(
        _odd_objects(), st.dictionaries(_odd_members, _odd_values, max_size=5)
    )
    texts = st.one_of(
        events().map(lambda event: DEFAULT_CODEC.encode(serialize_event(event))),
        _odd_json(),
        _odd_texts,
    )
    encoded = texts.map(lambda text: text.encode(errors="surrogatepass"))
    return st.one_of(objects, texts, encoded, st.binary(max_size=40))
