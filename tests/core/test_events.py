"""Events: reading what peers send, writing it back, and what their reprs may show."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plivo_core import events as events_module
from plivo_core._redact import hide, mask_number, redact, show_size
from plivo_core.codec import DEFAULT_CODEC, Codec
from plivo_core.errors import InvalidCommandError, RemoteProtocolError
from plivo_core.events import (
    AGENT_EVENTS,
    STREAM_EVENTS,
    AgentEvent,
    AgentSessionStarted,
    AgentToolCompleted,
    CallTransferred,
    ClearedAudio,
    Dtmf,
    DtmfSent,
    Ended,
    Error,
    InvalidMessage,
    ParticipantAdded,
    PlayCompleted,
    PlayedStream,
    SessionUsage,
    StreamDtmf,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    ToolCallExpired,
    TurnMetrics,
    UnknownEvent,
    UserBackchannel,
    VoicemailBeep,
    WireEvent,
    parse_event,
    parse_extra_headers,
    serialize_event,
)
from plivo_core.events._base import stream_layout
from plivo_core.events._parse import read_media_fast, read_stream_event, split_rate
from plivo_core.testing import agent_events, events, hostile_messages, stream_events

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "events.json").read_text("utf-8"))
EVERY_CLASS = [*AGENT_EVENTS.values(), *STREAM_EVENTS.values()]


def cases(group: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in VECTORS[group]]


def a_media_message(**changes: object) -> dict[str, object]:
    return {
        "sequenceNumber": 5,
        "streamId": "strm-01",
        "event": "media",
        "media": {"track": "inbound", "timestamp": "1540", "chunk": 4, "payload": "f39/fw=="},
        "extra_headers": "{}",
        **changes,
    }


# --- vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", cases("vectors"))
def test_every_vector_gives_the_expected_event(vector: dict[str, Any]) -> None:
    expect = vector["expect"]

    event = parse_event(vector["wire"])

    assert event.type == expect["name"]
    if expect["kind"] == "unknown":
        assert isinstance(event, UnknownEvent)
        assert event == expect["raw"]
        return
    assert isinstance(event, AgentEvent if expect["kind"] == "agent" else StreamEvent)
    for name, value in expect["fields"].items():
        assert getattr(event, name) == value
        assert type(getattr(event, name)) is type(value)
    assert not set(expect["fields"]) & set(event.extra)
    if "extra" in expect:
        assert event.extra == expect["extra"]


@pytest.mark.parametrize("vector", cases("vectors"))
def test_every_vector_reads_the_same_as_object_text_and_bytes(vector: dict[str, Any]) -> None:
    text = json.dumps(vector["wire"], ensure_ascii=False)

    assert parse_event(text) == parse_event(text.encode()) == parse_event(vector["wire"])


@pytest.mark.parametrize("vector", cases("vectors"))
def test_every_vector_survives_the_round_trip(vector: dict[str, Any]) -> None:
    event = parse_event(vector["wire"])

    assert not isinstance(event, InvalidMessage)
    assert parse_event(serialize_event(event)) == event


@pytest.mark.parametrize("vector", cases("extra_headers"))
def test_extra_headers_are_read_in_every_spelling(vector: dict[str, Any]) -> None:
    assert parse_extra_headers(vector["raw"]) == vector["expect"]
    started = parse_event({"event": "start", "extra_headers": vector["raw"]})
    assert isinstance(started, StreamStart)
    assert started.extra_headers == vector["expect"]
    assert started.extra == {}


@pytest.mark.parametrize("vector", cases("malformed"))
def test_what_is_no_json_object_is_reported_and_never_raised(vector: dict[str, Any]) -> None:
    raw = base64.b64decode(vector["bytes_b64"]) if "bytes_b64" in vector else vector["text"]

    event = parse_event(raw)

    if "expect_event" in vector:
        assert isinstance(event, WireEvent)
        assert event.type == vector["expect_event"]
    else:
        assert event == InvalidMessage(raw=raw, reason=vector["expect_error"])


# --- the classes ----------------------------------------------------------------------------------


def test_all_forty_events_are_registered_and_exported() -> None:
    assert (len(AGENT_EVENTS), len(STREAM_EVENTS)) == (34, 6)
    for registry in (AGENT_EVENTS, STREAM_EVENTS):
        for name, cls in registry.items():
            assert cls.type == name
            assert cls.__name__ in events_module.__all__
    with pytest.raises(TypeError):
        AGENT_EVENTS["x"] = Error  # type: ignore[index]


def test_every_public_name_exists() -> None:
    assert all(hasattr(events_module, name) for name in events_module.__all__)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_every_event_is_frozen_slotted_keyword_only_and_documented(cls: type[WireEvent]) -> None:
    event = cls()

    assert is_dataclass(cls)
    assert not hasattr(event, "__dict__")
    assert cls.__doc__
    assert event == cls()
    assert repr(event) == f"{cls.__name__}()"
    with pytest.raises(FrozenInstanceError):
        event.extra = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        cls("positional")  # type: ignore[misc]
    with pytest.raises(TypeError, match="unhashable"):
        hash(event)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_a_message_with_only_its_name_gives_every_default(cls: type[WireEvent]) -> None:
    assert parse_event({"type": cls.type}) == cls()
    assert parse_event({"event": cls.type}) == cls()
    nulls = {f.name: None for f in fields(cls) if f.name != "extra"}
    assert parse_event({"type": cls.type, **(nulls if cls.type in AGENT_EVENTS else {})}) == cls()


def test_events_can_be_copied_pickled_and_replaced() -> None:
    call = ToolCall(id="c1", name="ping", arguments={"a": [1]})

    assert copy.deepcopy(call) == pickle.loads(pickle.dumps(call)) == call
    assert replace(call, id="c2").id == "c2"


def test_events_of_different_classes_are_never_equal() -> None:
    assert StreamStop(stream_id="s") != ClearedAudio(stream_id="s")
    assert Dtmf(digit="1") != Dtmf(digit="2")


# --- members that cannot be read ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "number"),
    [
        (7, 7),
        (2.5, 2.5),
        (2.0, 2.0),
        (10**400, 10**400),
        ("7", 7),
        (" -7\n", -7),
        ("2.5", 2.5),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("9" * 64, int("9" * 64)),
    ],
)
def test_a_finite_number_or_numeric_text_fits_a_number_field(wire: object, number: object) -> None:
    event = parse_event({"type": "voicemail.beep", "frequency_hz": wire})

    assert event == VoicemailBeep(frequency_hz=number)  # type: ignore[arg-type]
    assert isinstance(event, VoicemailBeep)
    assert type(event.frequency_hz) is type(number)


@pytest.mark.parametrize(
    "wire",
    [
        *("", "seven", "+7", "07", "1_000", "0x10", "NaN", "1e999", ".5", "5.", "\u0667", "9" * 65),
        *(True, float("inf"), [7], {"n": 7}),
    ],
)
def test_what_is_no_number_takes_the_default_and_stays_in_extra(wire: object) -> None:
    event = parse_event({"type": "voicemail.beep", "frequency_hz": wire})

    assert event == VoicemailBeep(extra={"frequency_hz": wire})


@pytest.mark.parametrize(
    ("name", "member", "wire"),
    [
        ("tool.called", "id", 5),
        ("tool.called", "arguments", "text"),
        ("user.transcription", "is_final", "yes"),
        ("user.transcription", "is_final", 1),
        ("user.transcription", "language", ["en"]),
        ("session.started", "plc_enabled", 0),
        ("call.transferred", "destination", "+14155550101"),
        ("call.transferred", "destination", ["+14155550101", 5]),
        ("session.usage", "models", [{"type": "x"}, None]),
        ("user.backchannel", "probabilities", {"0": 0.1}),
        ("turn.metrics", "llm_availability", True),
        ("session.started", "extra", 1),
        ("session.started", "region", None),
    ],
)
def test_a_member_of_the_wrong_kind_stays_in_extra(name: str, member: str, wire: object) -> None:
    event = parse_event({"type": name, member: wire})

    assert event == AGENT_EVENTS[name](extra={member: wire})


def test_a_transcript_of_any_shape_is_kept() -> None:
    for transcript in (False, 0, "", [], {"a": None}):
        event = parse_event({"type": "session.ended", "transcript": transcript})
        assert isinstance(event, WireEvent)
        assert (event.transcript, event.extra) == (transcript, {})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"event": "start", "start": "oops"}, StreamStart(extra={"start": "oops"})),
        ({"event": "start", "start": None}, StreamStart()),
        ({"event": "start", "start": {}}, StreamStart()),
        (
            {"event": "start", "start": {"mediaFormat": ["l16"], "new": 1}},
            StreamStart(extra={"start": {"mediaFormat": ["l16"], "new": 1}}),
        ),
        ({"event": "media", "media": {"foo": 1}}, StreamMedia(extra={"media": {"foo": 1}})),
        (
            {"event": "media", "media": {"payload": 5, "chunk": []}},
            StreamMedia(extra={"media": {"payload": 5, "chunk": []}}),
        ),
        ({"event": "media", "extra_headers": 5}, StreamMedia(extra={"extra_headers": 5})),
        (
            {"event": "start", "start": {"tracks": [1]}},
            StreamStart(extra={"start": {"tracks": [1]}}),
        ),
        ({"event": "stop", "stop": {"a": 1}}, StreamStop(extra={"stop": {"a": 1}})),
        ({"event": "dtmf", "dtmf": "5"}, StreamDtmf(extra={"dtmf": "5"})),
        (
            {"event": "playedStream", "sequenceNumber": "soon", "name": "a"},
            PlayedStream(name="a", extra={"sequenceNumber": "soon"}),
        ),
    ],
)
def test_leftovers_of_a_stream_message_stay_nested_in_extra(
    message: dict[str, object], event: StreamEvent
) -> None:
    assert parse_event(message) == event
    assert parse_event(serialize_event(event)) == event


def test_parsing_leaves_the_message_as_it_was() -> None:
    message = {"event": "start", "start": {"callId": "c", "mediaFormat": {"rate": 1}, "x": 1}}
    before = copy.deepcopy(message)

    parse_event(message)

    assert message == before


# --- two spellings, two places --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (  # the outer id wins; the other one is not lost
            {"event": "start", "streamId": "outer", "start": {"streamId": "inner"}},
            StreamStart(stream_id="outer", extra={"start": {"streamId": "inner"}}),
        ),
        (  # said twice, told once
            {"event": "start", "streamId": "same", "start": {"streamId": "same"}},
            StreamStart(stream_id="same"),
        ),
        (  # empty text hides nothing
            {"event": "start", "streamId": "", "start": {"streamId": "inner"}},
            StreamStart(stream_id="inner"),
        ),
        (  # what cannot be read hides nothing
            {"event": "start", "streamId": 5, "start": {"streamId": "inner"}},
            StreamStart(stream_id="inner", extra={"streamId": 5}),
        ),
        (
            {"event": "start", "streamId": "outer", "start": "oops"},
            StreamStart(stream_id="outer", extra={"start": "oops"}),
        ),
        (
            {"event": "media", "payload": "QUJD", "media": "text"},
            StreamMedia(payload="QUJD", extra={"media": "text"}),
        ),
        (
            {"event": "media", "payload": "QUJD", "media": {"payload": 5}},
            StreamMedia(payload="QUJD", extra={"media": {"payload": 5}}),
        ),
        (
            {"event": "dtmf", "digit": 7, "dtmf": {"digit": "7"}},
            StreamDtmf(digit="7", extra={"digit": 7}),
        ),
    ],
)
def test_flat_and_nested_members_are_reconciled(
    message: dict[str, object], event: StreamEvent
) -> None:
    assert parse_event(message) == event
    assert parse_event(serialize_event(event)) == event


@pytest.mark.parametrize(
    ("media_format", "content_type", "sample_rate", "left"),
    [
        ({"encoding": "a", "type": "b"}, "a", 8000, {"type": "b"}),
        ({"encoding": 1, "type": "b"}, "b", 8000, {"encoding": 1}),
        ({"sampleRate": 8000, "rate": 16000}, "", 8000, {"rate": 16000}),
        ({"sampleRate": "x", "rate": "16000"}, "", 16000, {"sampleRate": "x"}),
        ({"type": "a;rate=16000"}, "a", 16000, {}),
        ({"encoding": "a;rate=16000", "sampleRate": 8000}, "a", 8000, {}),
        ({"encoding": "a;rate=16000", "sampleRate": "x"}, "a", 16000, {"sampleRate": "x"}),
        (
            {"encoding": "a; Rate=1.5; b=c", "sampleRate": [], "rate": {}},
            "a; b=c",
            1.5,
            {"sampleRate": [], "rate": {}},
        ),
        ({"encoding": ";rate=1", "sampleRate": [], "rate": {}, "type": "b"}, "b", 1, None),
        ({"encoding": 5, "type": 6, "sampleRate": [], "rate": []}, "", 8000, None),
    ],
)
def test_both_spellings_of_the_media_format_are_reconciled(
    media_format: dict[str, object],
    content_type: str,
    sample_rate: float,
    left: dict[str, object] | None,
) -> None:
    event = parse_event({"event": "start", "start": {"mediaFormat": media_format}})

    assert isinstance(event, StreamStart)
    assert (event.content_type, event.sample_rate) == (content_type, sample_rate)
    if left is not None:
        assert event.extra == ({"start": {"mediaFormat": left}} if left else {})
    assert parse_event(serialize_event(event)) == event


@pytest.mark.parametrize(
    ("encoding", "parts"),
    [
        ("audio/x-mulaw", ("audio/x-mulaw", None)),
        (" audio/x-l16 ; RATE = 16000", ("audio/x-l16", 16000)),
        ("a;rate=8000;rate=16000", ("a", 8000)),
        ("a;rate=fast", ("a;rate=fast", None)),
        ("a;rate", ("a;rate", None)),
        ("rate=8000", ("rate=8000", None)),
    ],
)
def test_a_rate_parameter_is_split_off(encoding: str, parts: tuple[str, float | None]) -> None:
    assert split_rate(encoding) == parts


def test_a_stream_timestamp_is_text_whatever_came() -> None:
    for wire, text in ((1540, "1540"), (0.5, "0.5"), ("epoch", "epoch")):
        event = parse_event({"event": "dtmf", "dtmf": {"timestamp": wire}})
        assert event == StreamDtmf(timestamp=text)
    for wire in (True, [], float("nan"), 10**5000):
        event = parse_event({"event": "dtmf", "dtmf": {"timestamp": wire}})
        assert isinstance(event, StreamDtmf)
        assert event.timestamp == ""
        assert set(event.extra) == {"dtmf"}


def test_extra_headers_drop_what_json_cannot_carry_and_decode_what_is_escaped() -> None:
    assert parse_extra_headers({"a": object(), "b": float("nan"), 5: "x", "c": [1, None]}) == {
        "c": "[1,null]"
    }
    assert parse_extra_headers("a=1+1;b=%C3%BC;=x; =y;a=2;c=%zz") == {
        "a": "2",
        "b": "\u00fc",
        "c": "%zz",
    }
    assert parse_extra_headers('{"a":1;b=2') == {"b": "2"}
    assert parse_extra_headers(7) == {}


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"type": "stop", "event": "start"}, StreamStop(extra={"event": "start"})),
        ({"type": "stop", "event": None}, StreamStop()),
        ({"type": "", "event": "stop"}, StreamStop(extra={"type": ""})),
        ({"type": None, "event": "stop"}, StreamStop()),
        ({"type": 0, "event": "play.completed"}, PlayCompleted(extra={"type": 0})),
        ({"type": "play.completed", "event": "x"}, PlayCompleted(extra={"event": "x"})),
        ({"type": "media", "event": "media"}, StreamMedia(extra={"event": "media"})),
    ],
)
def test_the_key_that_did_not_name_the_message_is_kept(
    message: dict[str, object], event: WireEvent
) -> None:
    assert parse_event(message) == event
    assert isinstance(event, (AgentEvent, StreamEvent))
    assert parse_event(serialize_event(event)) == event


@pytest.mark.parametrize("cls", [PlayCompleted, StreamStop])
@pytest.mark.parametrize(
    "extra",
    [{"type": "x"}, {"event": "x"}, {"type": "x", "event": "y"}, {"type": "", "event": "y"}],
)
def test_no_extra_can_rename_an_event(
    cls: type[PlayCompleted] | type[StreamStop], extra: dict[str, object]
) -> None:
    assert isinstance(parse_event(serialize_event(cls(extra=extra))), cls)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"type": "x", "event": "stop"}, "x"),
        ({"type": "", "event": "x"}, "x"),
        ({"type": ["x"], "event": "stop"}, None),
        ({"event": {}}, None),
        ({"event": ""}, ""),
        ({}, None),
    ],
)
def test_an_unknown_event_is_the_raw_object(raw: dict[str, object], name: str | None) -> None:
    event = parse_event(raw)

    assert isinstance(event, UnknownEvent)
    assert event.type == name
    assert event == raw
    assert serialize_event(event) == raw


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            ToolCall(id="c", name="n", arguments={"a": 1}, extra={"x": None}),
            {"type": "tool.called", "id": "c", "name": "n", "arguments": {"a": 1}, "x": None},
        ),
        (
            StreamStart(
                stream_id="s",
                call_id="c",
                account_id="MA1",
                tracks=["inbound"],
                content_type="audio/x-mulaw",
                sequence_number=1,
                extra_headers={"tenant": "42"},
            ),
            {
                "event": "start",
                "start": {
                    "streamId": "s",
                    "callId": "c",
                    "accountId": "MA1",
                    "tracks": ["inbound"],
                    "mediaFormat": {"sampleRate": 8000, "encoding": "audio/x-mulaw"},
                },
                "sequenceNumber": 1,
                "extra_headers": '{"tenant":"42"}',
            },
        ),
        (
            StreamMedia(payload="AAAA", timestamp="1", track="inbound", chunk=1, stream_id="s"),
            {
                "event": "media",
                "media": {"payload": "AAAA", "timestamp": "1", "track": "inbound", "chunk": 1},
                "streamId": "s",
            },
        ),
        (
            StreamDtmf(digit="5", extra={"dtmf": {"volume": 3}}),
            {"event": "dtmf", "dtmf": {"digit": "5", "volume": 3}},
        ),
        (StreamStop(), {"event": "stop"}),
        (UnknownEvent({"type": "x", "a": 1}), {"type": "x", "a": 1}),
    ],
)
def test_events_are_written_in_the_platforms_spelling(
    event: AgentEvent | StreamEvent | UnknownEvent, message: dict[str, object]
) -> None:
    assert serialize_event(event) == message
    assert next(iter(serialize_event(event))) in ("type", "event")


def test_extra_wins_over_a_field_whose_place_it_takes() -> None:
    stop = StreamStop(stream_id="a", extra={"streamId": "b"})
    media = StreamMedia(content_type="a", track="b", extra={"media": "text"})
    digit = Dtmf(digit="1", extra={"digit": "2"})

    assert serialize_event(stop) == {"event": "stop", "streamId": "b"}
    assert serialize_event(media) == {"event": "media", "media": "text"}
    assert serialize_event(digit) == {"type": "user.dtmf", "digit": "2"}


def test_extra_headers_that_are_no_json_cannot_be_written() -> None:
    with pytest.raises(InvalidCommandError):
        serialize_event(StreamStart(extra_headers={"a": object()}))  # type: ignore[dict-item]


def test_the_codec_of_the_caller_is_used() -> None:
    codec = Codec(loads=lambda text: {"event": text})

    assert parse_event("stop", codec=codec) == StreamStop()


# --- audio ----------------------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_a_payload_decodes_to_the_audio_that_was_encoded(audio: bytes) -> None:
    assert StreamMedia(payload=base64.b64encode(audio).decode()).decode() == audio


@pytest.mark.parametrize(
    "junk", ["A", "AAA", "AAA=AAAA", "AA-_", "AA AA", "A\u00c4==", "====", "AB=="]
)
def test_a_payload_that_is_not_base64_raises_value_error(junk: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padding|ASCII|data"):
        StreamMedia(payload=junk).decode()


# --- reprs ----------------------------------------------------------------------------------------

PLANTED = "4929123456781234"


@pytest.mark.parametrize(
    "event",
    [
        Dtmf(digit=PLANTED),
        Dtmf(extra={"digit": [PLANTED]}),
        DtmfSent(digits=PLANTED),
        StreamDtmf(digit=PLANTED),
        StreamDtmf(extra={"digit": int(PLANTED), "dtmf": {"digit": {"x": PLANTED}}}),
        StreamDtmf(extra={"dtmf": PLANTED}),
        StreamDtmf(extra={"dtmf": [PLANTED]}),
        StreamMedia(payload=PLANTED),
        StreamMedia(extra={"media": PLANTED}),
        StreamMedia(extra={"media": {"payload": [PLANTED]}}),
        UserBackchannel(speech_input_b64=PLANTED),
        UserBackchannel(extra={"speech_input_b64": [PLANTED]}),
        AgentToolCompleted(result={"anything": {"card": [PLANTED]}}),
        AgentToolCompleted(extra={"result": PLANTED}),
        AgentSessionStarted(caller=PLANTED, callee=PLANTED),
        AgentSessionStarted(extra={"caller": int(PLANTED)}),
        ParticipantAdded(target=f"sip:{PLANTED}@example.com"),
        CallTransferred(destination=[PLANTED]),
        CallTransferred(extra={"destination": {"x": PLANTED}}),
        ToolCall(arguments={"payment": {"cardNumber": PLANTED, "x-auth-token": [PLANTED]}}),
        SessionUsage(models=[{"api_key": PLANTED}]),
        TurnMetrics(llm_availability={"authorization": PLANTED}),
        Error(extra={"a": {"customer.email": PLANTED}}),
        StreamStart(extra_headers={"Password": PLANTED, "to": PLANTED}),
        UnknownEvent({"event": "dtmf2", "digit": PLANTED, "from": PLANTED}),
        InvalidMessage(raw=PLANTED, reason="invalid_json"),
        InvalidMessage(raw=PLANTED.encode(), reason="invalid_json"),
    ],
    ids=repr,
)
def test_no_repr_shows_a_secret(event: object) -> None:
    assert PLANTED not in repr(event)
    assert PLANTED not in str(event)


def test_a_repr_shows_what_differs_from_the_defaults() -> None:
    started = AgentSessionStarted(call_id="c1", caller="+14155550101", sample_rate=16000)
    assert repr(started) == (
        "AgentSessionStarted(call_id='c1', caller='***0101', sample_rate=16000)"
    )
    assert repr(Dtmf(digit="5")) == "Dtmf(digit=<masked>)"
    assert repr(StreamMedia(payload="A" * 216)) == "StreamMedia(payload=<216 characters>)"
    completed = AgentToolCompleted(result={"digits": "123", "timed_out": None})
    assert repr(completed) == "AgentToolCompleted(result={'digits': <masked>, 'timed_out': None})"
    assert repr(ToolCall(extra={"a": 1})) == "ToolCall(extra={'a': 1})"
    assert repr(UnknownEvent(type="x", pin=1)) == "UnknownEvent({'type': 'x', 'pin': <masked>})"
    invalid = InvalidMessage(raw="{{", reason="invalid_json")
    assert repr(invalid) == "InvalidMessage(reason='invalid_json', raw=<2 characters>)"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


class Unwalkable(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


def test_a_repr_never_raises() -> None:
    assert repr(ToolCall(arguments={"a": Unprintable()})) == "ToolCall(arguments=<unreadable>)"
    nested = ToolCall(arguments={"a": Unwalkable()})
    assert repr(nested) == "ToolCall(arguments={'a': <unreadable>})"
    assert "<int of 16610 bits>" in repr(VoicemailBeep(extra={"a": 10**5000}))
    assert "bits" in repr(VoicemailBeep(duration_ms=10**5000))
    assert repr(Error(extra={"a": "\ud800"})) == "Error(extra={'a': '\\ud800'})"


def test_redaction_goes_by_the_last_words_of_a_name() -> None:
    shown = {"input_tokens": 5, "pinned": True, "x": None, "to": "Paris", "from": 5, "name": "n"}
    assert redact(shown) == shown
    hidden = {"AUTH-TOKEN": "a", "apiKey": "b", "userPIN": 1, "cvv2": "c", "dateOfBirth": "d"}
    assert redact(hidden) == dict.fromkeys(hidden, "<masked>")
    assert redact({"secret": {"a": ["b", None]}}) == {"secret": {"a": ["<masked>", None]}}
    assert redact({"phone": "+14155550101", "mobile": 5, 7: ("x",)}) == {
        "phone": "***0101",
        "mobile": "<masked>",
        7: ["x"],
    }
    assert redact({"media": {"payload": "AAAA", "track": "in"}}) == {
        "media": {"payload": "<4 characters>", "track": "in"}
    }
    assert redact({"token" + "x" * 10_000: 1, "x" * 10_000 + "_token": 2}) == {
        "token" + "x" * 10_000: 1,
        "x" * 10_000 + "_token": "<masked>",
    }
    assert redact({"payload": 5}) == {"payload": "<masked>"}
    assert redact(b"abc") == "<3 bytes>"
    assert show_size(b"abc") == "<3 bytes>"
    assert hide("x") == "<masked>"


def test_redaction_is_bounded_in_depth() -> None:
    deep: dict[str, object] = {}
    deep["self"] = deep
    assert "<...>" in repr(redact(deep))
    cycle: list[object] = []
    cycle.append(cycle)
    assert repr(redact(cycle)) == "[[[[[[[[<...>]]]]]]]]"


def test_redaction_leaves_its_argument_as_it_was() -> None:
    value = {"a": [{"token": "t"}]}
    redact(value)
    assert value == {"a": [{"token": "t"}]}


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+14155550101", "***0101"),
        ("+1 (415) 555-0101", "***0101"),
        ("sip:desk@example.com", "***"),
        ("1234", "***"),
        ("", "***"),
    ],
)
def test_a_number_keeps_its_last_four_digits_only(number: str, masked: str) -> None:
    assert mask_number(number) == masked


# --- events that do not travel --------------------------------------------------------------------


def test_what_the_core_concludes_is_frozen_and_slotted() -> None:
    expired = ToolCallExpired(id="c1", name="ping")
    ended = Ended(
        initiator="local",
        code=1002,
        reason="bad frame",
        cause="error",
        error=RemoteProtocolError("bad frame"),
    )
    for event in (expired, ended, InvalidMessage(raw="", reason="invalid_json")):
        assert not hasattr(event, "__dict__")
        with pytest.raises(FrozenInstanceError):
            setattr(event, fields(event)[0].name, "x")
    assert Ended("remote", 1000, "", "stop").error is None


# --- properties -----------------------------------------------------------------------------------


@given(hostile_messages())
@example({"event": "media", "media": {"media": {"media": {}}}})
def test_whatever_a_peer_sends_gives_an_event_that_survives_the_round_trip(
    message: str | bytes | dict[str, object],
) -> None:
    event = parse_event(message)

    assert repr(event)
    if not isinstance(event, InvalidMessage):
        assert parse_event(serialize_event(event)) == event


@given(st.one_of(st.text(), st.binary()))
def test_any_text_and_any_bytes_give_an_event(raw: str | bytes) -> None:
    assert parse_event(raw) is not None


@given(events())
def test_every_valid_event_survives_the_trip_through_text(event: AgentEvent | StreamEvent) -> None:
    assert parse_event(DEFAULT_CODEC.encode(serialize_event(event))) == event


@given(agent_events(), stream_events())
def test_strategies_give_what_they_are_named_for(agent: AgentEvent, stream: StreamEvent) -> None:
    assert AGENT_EVENTS[agent.type] is type(agent)
    assert STREAM_EVENTS[stream.type] is type(stream)


ODD = st.one_of(
    st.none(), st.just({}), st.just(7), st.just("4"), st.just(""), st.booleans(), st.floats()
)


@st.composite
def media_messages(draw: st.DrawFn) -> dict[str, object]:
    """The platform's own shape, with up to three things changed."""
    message = a_media_message()
    media = dict(message["media"])  # type: ignore[call-overload]
    if draw(st.booleans()):
        message["media"] = media
        media["payload"] = draw(st.text(max_size=4))
    for _ in range(draw(st.integers(0, 3))):
        target = draw(st.sampled_from([message, media]))
        name = draw(st.sampled_from([*message, *media, "type", "new"]))
        if name != "event" and draw(st.booleans()):
            target.pop(name, None)
        elif name not in ("event", "media"):
            target[name] = draw(ODD | st.sampled_from(["media", "a=1;b=2", '{"a":1}', "{}"]))
    return message


@given(media_messages())
@example(a_media_message())
@example(a_media_message(extra_headers="tenant=42"))
@example(a_media_message(extra_headers=None))
@example(a_media_message(payload="QUJD"))
@example(a_media_message(type="media"))
def test_the_fast_branch_reads_media_like_the_general_reader(message: dict[str, object]) -> None:
    if (message.get("type") or message["event"]) != "media":
        return  # renamed by the strategy: not a media message
    fast = read_media_fast(message)

    if fast is not None:
        slow = read_stream_event(stream_layout["media"], message)
        assert fast == slow
        assert {f.name: type(getattr(fast, f.name)) for f in fields(fast)} == {
            f.name: type(getattr(slow, f.name)) for f in fields(slow)
        }


@pytest.mark.parametrize("extra_headers", ["{}", "tenant=42", "absent"])
def test_the_usual_media_message_takes_the_fast_branch(extra_headers: str) -> None:
    message = a_media_message(extra_headers=extra_headers)
    if extra_headers == "absent":
        del message["extra_headers"]

    assert read_media_fast(message) == parse_event(message)
    assert read_media_fast({**message, "new": 1}) is None
    assert read_media_fast({**message, "streamId": 5}) is None
    assert read_media_fast({"event": "media", "media": message["media"], "a": 1, "b": 2}) is None
