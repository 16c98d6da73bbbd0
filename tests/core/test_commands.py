"""Commands as values, on the wire, and as the session vocabulary (PROTOCOL.md 11)."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import commands as public
from plivo_core.codec import DEFAULT_CODEC, Codec
from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    Command,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    PlayBackground,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    SessionCommands,
    Speak,
    StopBackground,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
    parse_command,
    serialize_command,
)
from plivo_core.commands._wire import command_text
from plivo_core.errors import InvalidCommandError, LocalProtocolError
from plivo_core.events import InvalidMessage
from plivo_core.testing import commands

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "commands.json").read_text(encoding="utf-8")
)["vectors"]
OUR_NAMES = {("play", "audio_b64"): "audio"}
REFUSED_ARGUMENT = {
    "cmd-070": "destination",
    "cmd-071": "destination",
    "cmd-072": "dial_mode",
    "cmd-073": "timeout",
    "cmd-074": "digits",
    "cmd-075": "digits",
    "cmd-076": "volume",
}


class Recorder(SessionCommands):
    """A session that keeps what it would send, as wire objects."""

    __slots__ = ("stream_id", "wire")

    def __init__(self, stream_id: str | None = None) -> None:
        self.stream_id = stream_id
        self.wire: list[dict[str, object]] = []

    def send(self, command: Command, *, now: float | None = None) -> None:
        if isinstance(command, (Checkpoint, ClearAudio)) and command.stream_id is None:
            command = replace(command, stream_id=self.stream_id)
        self.wire.append(serialize_command(command))


def of_each_kind(*extra: Command) -> list[Command]:
    return [
        ToolResult("c1", {"ok": [1]}),
        ToolError("c1", "no"),
        Text("hi", last=True),
        ExtendWait(),
        Update({"tools": [{"name": "a"}]}),
        Inject("x"),
        Speak("x"),
        Play("UklGRg==", allow_interruption=False),
        Transfer("+1", caller_id="+2"),
        SendDtmf("1"),
        Hangup(),
        PlayBackground("office"),
        StopBackground(),
        PlayAudio("f39/fw=="),
        Checkpoint("a", stream_id="S1"),
        ClearAudio(),
        SendStreamDtmf("1"),
        RawCommand({"type": "custom"}),
        *extra,
    ]


# --- vectors ---


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_the_vocabulary_writes_what_the_vectors_say(vector: dict[str, Any]) -> None:
    session = Recorder(vector.get("state", {}).get("stream_id"))
    method = vector["method"]
    arguments = {OUR_NAMES.get((method, name), name): v for name, v in vector["args"].items()}
    before = copy.deepcopy(arguments)

    if "expect_error" in vector:
        with pytest.raises(InvalidCommandError) as caught:
            getattr(session, method)(**arguments)
        assert isinstance(caught.value, ValueError)
        assert caught.value.argument == REFUSED_ARGUMENT[vector["id"]]
        assert session.wire == []
    else:
        getattr(session, method)(**arguments)
        assert session.wire == vector["wire"]
        assert repr(session.wire) == repr(json.loads(json.dumps(session.wire)))
    assert arguments == before


def test_every_method_of_the_vocabulary_has_a_vector() -> None:
    methods = {name for name in vars(SessionCommands) if not name.startswith("_")} - {"send"}
    assert methods == {vector["method"] for vector in VECTORS}


@pytest.mark.parametrize(
    "message",
    [message for vector in VECTORS for message in vector.get("wire", ())],
    ids=json.dumps,
)
def test_what_the_vectors_send_is_read_and_written_back(message: dict[str, Any]) -> None:
    command = parse_command(json.dumps(message))
    assert not isinstance(command, InvalidMessage)
    assert serialize_command(command) == message


# --- values ---


def test_the_union_names_every_command_and_no_other() -> None:
    assert {type(command) for command in of_each_kind()} == set(get_args(Command))
    assert {cls.__name__ for cls in get_args(Command)} <= set(public.__all__)
    assert public.__all__ == sorted(public.__all__)


@pytest.mark.parametrize("command", of_each_kind(), ids=lambda c: type(c).__name__)
def test_a_command_is_a_frozen_slotted_value(command: Command) -> None:
    assert not hasattr(command, "__dict__")
    for name in command.__slots__:
        with pytest.raises(FrozenInstanceError):
            setattr(command, name, None)
    same = pickle.loads(pickle.dumps(command))
    assert same == command
    assert copy.deepcopy(command) == command
    assert [other for other in of_each_kind() if other == command] == [command]
    assert command != "text"
    assert repr(command).startswith(f"{type(command).__name__}(")


def test_commands_with_hashable_members_are_hashable() -> None:
    assert len({Text("a"), Text("a"), Inject("a"), Hangup(), Hangup()}) == 3
    with pytest.raises(TypeError):
        hash(Update({}))


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: ToolResult(1, None), "id"),
        (lambda: ToolError(None, "x"), "id"),
        (lambda: ToolError("c", ValueError("x")), "error"),
        (lambda: Text(b"x"), "token"),
        (lambda: Text("x", last=1), "last"),
        (lambda: Update([("a", 1)]), "fields"),
        (lambda: Update({"type": "text"}), "fields"),
        (lambda: Inject(None), "content"),
        (lambda: Speak(1), "text"),
        (lambda: Play(b"x"), "audio_data"),
        (lambda: Play("x", allow_interruption=None), "allow_interruption"),
        (lambda: Transfer(()), "destination"),
        (lambda: Transfer("  "), "destination"),
        (lambda: Transfer(["+1", ""]), "destination"),
        (lambda: Transfer(["+1", 2]), "destination"),
        (lambda: Transfer(5), "destination"),
        (lambda: Transfer({"+1": 1}), "destination"),
        (lambda: Transfer(b"+1"), "destination"),
        (lambda: Transfer("+1", dial_mode=None), "dial_mode"),
        (lambda: Transfer("+1", dial_mode=["parallel"]), "dial_mode"),
        (lambda: Transfer("+1", timeout=True), "timeout"),
        (lambda: Transfer("+1", timeout="30"), "timeout"),
        (lambda: Transfer("+1", timeout=-1), "timeout"),
        (lambda: Transfer("+1", timeout=float("nan")), "timeout"),
        (lambda: Transfer("+1", timeout=float("inf")), "timeout"),
        (lambda: Transfer("+1", caller_id=1), "caller_id"),
        (lambda: SendDtmf(12), "digits"),
        (lambda: SendDtmf("1a"), "digits"),
        (lambda: SendDtmf("\uff11"), "digits"),
        (lambda: SendStreamDtmf(""), "digits"),
        (lambda: PlayBackground(None), "sound"),
        (lambda: PlayBackground("x", volume=-0.1), "volume"),
        (lambda: PlayBackground("x", volume=float("nan")), "volume"),
        (lambda: PlayBackground("x", volume=10**400), "volume"),
        (lambda: PlayBackground("x", volume=True), "volume"),
        (lambda: PlayBackground("x", volume="1"), "volume"),
        (lambda: PlayBackground("x", loop=0), "loop"),
        (lambda: PlayAudio(b"x"), "payload"),
        (lambda: PlayAudio("x", content_type=None), "content_type"),
        (lambda: PlayAudio("x", sample_rate=8000.0), "sample_rate"),
        (lambda: PlayAudio("x", sample_rate=True), "sample_rate"),
        (lambda: PlayAudio("x", sample_rate=0), "sample_rate"),
        (lambda: Checkpoint(1), "name"),
        (lambda: Checkpoint("x", stream_id=1), "stream_id"),
        (lambda: ClearAudio(stream_id=b"x"), "stream_id"),
        (lambda: RawCommand("x"), "message"),
    ],
)
def test_what_cannot_be_sent_cannot_be_made(make: Callable[[], Command], argument: str) -> None:
    with pytest.raises(InvalidCommandError) as caught:
        make()
    assert caught.value.argument == argument
    assert argument in caught.value.message
    assert isinstance(caught.value, LocalProtocolError)


def test_a_transfer_takes_one_destination_or_any_iterable_of_them() -> None:
    assert Transfer("+1").destination == ("+1",)
    assert Transfer(iter(["+1", "sip:a@b"])).destination == ("+1", "sip:a@b")
    assert replace(Transfer("+1", timeout=2.5), dial_mode="sequential") == Transfer(
        ["+1"], dial_mode="sequential", timeout=2.5
    )


def test_an_empty_stream_or_caller_id_is_none() -> None:
    assert Checkpoint("a", stream_id="") == Checkpoint("a")
    assert ClearAudio(stream_id="") == ClearAudio()
    assert Transfer("+1", caller_id="") == Transfer("+1")


def test_changing_a_mapping_after_the_fact_does_not_change_the_command() -> None:
    given_fields: dict[str, object] = {"llm": 1}
    update, raw = Update(given_fields), RawCommand(given_fields)
    given_fields["type"] = "text"
    assert update == Update({"llm": 1})
    assert raw == RawCommand({"llm": 1})


def test_secrets_and_audio_stay_out_of_repr_and_errors() -> None:
    shown = repr(
        [
            Update({"llm": {"model": "m", "api_key": "sk-1234"}}),
            RawCommand({"type": "x", "auth_token": "sk-1234"}),
            RawCommand({"event": "sendDTMF", "dtmf": "4711"}),
            ToolResult("c1", {"status": "sent", "digits": "4711"}),
            SendDtmf("4711"),
            SendStreamDtmf("4711"),
            Transfer("+14155554711", caller_id="+14155554711", timeout=9),
            PlayAudio("UklGRg4711=="),
            Play("UklGRg4711=="),
        ]
    )
    assert "sk-1234" not in shown
    assert "+1415555" not in shown
    assert "UklGRg" not in shown
    assert shown.count("4711") == 2  # the last four digits of the phone numbers
    assert "'model': 'm'" in shown
    assert repr(Text("hello")) == "Text(token='hello', last=False)"
    with pytest.raises(InvalidCommandError) as caught:
        SendDtmf("4711x")
    assert "4711" not in str(caught.value)
    assert "character 5" in str(caught.value)


# --- the wire ---


@given(commands())
def test_every_command_survives_the_wire(command: Command) -> None:
    wire = serialize_command(command)
    for parsed in (parse_command(wire), parse_command(DEFAULT_CODEC.encode(wire))):
        if isinstance(command, RawCommand) and not isinstance(parsed, RawCommand):
            assert parsed.type in (command.message.get("type"), command.message.get("event"))
        else:
            assert parsed == command


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.data())
def test_hostile_messages_are_read_without_raising(data: st.DataObject) -> None:
    wire = serialize_command(data.draw(st.sampled_from(of_each_kind())))
    for name in data.draw(st.sets(st.sampled_from(sorted(wire)))):
        wire[name] = data.draw(json_values)
    for name in data.draw(st.sets(st.sampled_from(sorted(wire)))):
        del wire[name]
    before = copy.deepcopy(wire)

    command = parse_command(wire)

    assert repr(wire) == repr(before)
    assert not isinstance(command, InvalidMessage)


@given(st.binary() | st.text() | json_values.map(json.dumps))
def test_hostile_text_is_read_without_raising(text: str | bytes) -> None:
    assert isinstance(parse_command(text), (InvalidMessage, RawCommand))


def test_text_that_is_no_object_is_an_invalid_message() -> None:
    assert parse_command("{") == InvalidMessage("{", "invalid_json")
    assert parse_command(b"[]") == InvalidMessage(b"[]", "not_an_object")
    assert parse_command(b'{"type":"agent_session.hangup"}') == Hangup()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "agent_session.unheard_of"},
        {"type": ["text"], "event": "clearAudio", "streamId": ""},
        {"type": 0, "event": 7},
        {"type": "text", "token": "x"},
        {"type": "text", "token": "x", "last": "yes"},
        {"type": "tool.result", "id": "c1"},
        {"type": "agent_session.transfer", "destination": ["sip:a@b"], "sip": True, "timeout": 30},
        {"type": "agent_session.play", "audio_data": "x", "allow_interruption": None},
        {"type": "audio.mix_enable", "enabled": True},
        {"type": "audio.mix_enable"},
        {"event": "playAudio", "media": "text"},
        {"event": "playAudio", "media": {"payload": "x"}},
        {"event": "checkpoint", "streamId": "s"},
        {"event": "sendDTMF", "dtmf": "xyz"},
    ],
    ids=json.dumps,
)
def test_what_is_not_understood_stays_whole(message: dict[str, object]) -> None:
    assert parse_command(message) == RawCommand(message)


@pytest.mark.parametrize("command", [Checkpoint("x"), ClearAudio()])
def test_a_stream_that_is_not_named_is_the_present_one(command: Command) -> None:
    message = serialize_command(command)
    assert message.pop("streamId") == ""
    assert parse_command(message) == command


def test_members_of_no_meaning_are_ignored() -> None:
    message = {
        "event": "playAudio",
        "streamId": "S1",
        "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": "AA==", "x": 1},
    }
    assert parse_command(message) == PlayAudio("AA==")


def test_either_key_may_carry_any_name() -> None:
    assert parse_command({"event": "agent_session.hangup"}) == Hangup()
    assert parse_command({"type": "clearAudio", "streamId": "S"}) == ClearAudio(stream_id="S")
    assert parse_command({"event": "agent_session.update", "type": "", "llm": 1}) == Update(
        {"llm": 1}
    )
    assert parse_command({"type": "agent_session.update", "event": "x"}) == Update({"event": "x"})


def test_a_mapping_that_invents_members_is_read_as_it_is() -> None:
    message: Mapping[str, object] = defaultdict(str, type="text", token="x")
    assert parse_command(message) == RawCommand({"type": "text", "token": "x"})
    assert len(message) == 2


def test_what_was_serialized_shares_nothing_with_the_command() -> None:
    for command in of_each_kind(ToolResult("c", ({"a": [1]},)), RawCommand({"a": {"b": [1]}})):
        before = copy.deepcopy(command)
        trample(serialize_command(command))
        assert command == before


def trample(value: object) -> None:
    if isinstance(value, dict):
        for member in value.values():
            trample(member)
        value.clear()
    elif isinstance(value, (list, tuple)):
        for entry in value:
            trample(entry)
        if isinstance(value, list):
            value.append("trampled")


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidCommandError) as caught:
        serialize_command(ToolResult("c1", loop))
    assert caught.value.argument == "result"


def test_what_is_no_command_is_refused() -> None:
    with pytest.raises(InvalidCommandError) as caught:
        serialize_command("hello")  # type: ignore[arg-type]
    assert caught.value.argument == "command"


# --- the vocabulary ---


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda s: s.send_tool_result(1, None), "tool_call_id"),
        (lambda s: s.send_tool_error(1, "x"), "tool_call_id"),
        (lambda s: s.send_media(b"x"), "payload_b64"),
        (lambda s: s.send_raw([]), "msg"),
        (lambda s: s.play(None), "audio"),
        (lambda s: s.handoff(None), "system_prompt"),
        (lambda s: s.handoff("P", tools="abc"), "tools"),
        (lambda s: s.handoff("P", tools={"name": "a"}), "tools"),
        (lambda s: s.handoff("P", llm="gpt"), "llm"),
        (lambda s: s.handoff("P", summary=["s"]), "summary"),
        (lambda s: s.update(type="text"), "fields"),
    ],
)
def test_a_call_that_fails_names_its_argument_and_sends_nothing(
    call: Callable[[Any], None], argument: str
) -> None:
    session = Recorder()
    with pytest.raises(InvalidCommandError) as caught:
        call(session)
    assert caught.value.argument == argument
    assert session.wire == []


@pytest.mark.parametrize("wav", [b"RIFF", bytearray(b"RIFF"), memoryview(b"RIFF")])
def test_play_encodes_bytes(wav: bytes) -> None:
    session = Recorder()
    session.play(wav)
    assert session.wire == [{"type": "agent_session.play", "audio_data": "UklGRg=="}]


def test_update_may_name_any_field() -> None:
    session = Recorder()
    session.update(self=1, fields=2, event=3)
    assert session.wire == [{"type": "agent_session.update", "self": 1, "fields": 2, "event": 3}]


def test_handoff_takes_read_only_views() -> None:
    session = Recorder()
    view = MappingProxyType
    session.handoff("P", tools=(view({"name": "a"}),), llm=view({"model": "m"}))
    assert json.loads(json.dumps(session.wire)) == [
        {
            "type": "agent_session.update",
            "system_prompt": "P",
            "tools": [{"name": "a"}],
            "llm": {"model": "m"},
        }
    ]


def test_a_session_must_supply_send() -> None:
    with pytest.raises(TypeError):
        SessionCommands()  # type: ignore[abstract]
    assert not hasattr(Recorder(), "__dict__")


# --- the text of a command ------------------------------------------------------------------------


class Rate(int):
    """A number that prints as it likes, and passes for the usual one."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(8000)

    def __repr__(self) -> str:
        return "fast"


class Kind(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("audio/x-mulaw")


def spaced(message: object) -> str:
    return json.dumps(message, ensure_ascii=False)


class Upper(Codec):
    """One that has its own way to write a message."""

    __slots__ = ()

    def encode(self, message: Mapping[str, object]) -> str:
        return super().encode(message).upper()


texts = st.text() | st.text("AB+/=") | st.sampled_from(['""', '"}}', "\\", "\ud800", "\u2028"])
audio = st.builds(
    PlayAudio,
    texts | texts.map(Kind),
    content_type=texts | texts.map(Kind) | st.just("audio/x-mulaw"),
    sample_rate=st.integers(1, 10**20) | st.just(8000) | st.integers(1, 10**5).map(Rate),
)


@settings(max_examples=400)
@given(
    st.booleans().flatmap(lambda a: audio if a else commands()),
    st.sampled_from([DEFAULT_CODEC, Codec(dumps=spaced), Upper()]),
)
def test_the_text_of_a_command_is_its_wire_object_as_json(command: Command, codec: Codec) -> None:
    command_text(PlayAudio(""))
    for _ in range(2):  # the second time the text around the payload is remembered
        try:
            expected = codec.encode(serialize_command(command))
        except InvalidCommandError as error:  # a lone surrogate, by a codec that writes UTF-8
            with pytest.raises(InvalidCommandError, match=re.escape(str(error))):
                command_text(command, codec)
        else:
            assert command_text(command, codec) == expected


def test_a_rate_too_long_to_print_is_refused_by_either_way() -> None:
    command = PlayAudio("AAAA", sample_rate=10**5000)
    with pytest.raises(InvalidCommandError, match="cannot be written as JSON"):
        command_text(command)


def test_audio_with_a_wrong_argument_is_never_built() -> None:
    for options in ({"content_type": 1}, {"sample_rate": 8e3}, {"sample_rate": True}):
        with pytest.raises(InvalidCommandError, match=next(iter(options))):
            PlayAudio("", **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PlayAudio("", "audio/x-l16", 8000)  # type: ignore[misc]
