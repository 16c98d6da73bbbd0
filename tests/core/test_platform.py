"""The simulated platform: its reactions in the order of PROTOCOL.md 10 and 11, in real time."""

from __future__ import annotations

import base64
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import Command, ConfigError, InvalidMessage, parse_event, serialize_event
from plivo_core.commands import (
    Checkpoint,
    ClearAudio,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    Speak,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.events import (
    AgentHandoff,
    AgentSessionEnded,
    AgentSessionStarted,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    AgentToolCompleted,
    AgentToolStarted,
    CallTransferred,
    ClearedAudio,
    Dtmf,
    DtmfSent,
    Interruption,
    ParticipantAdded,
    ParticipantRemoved,
    PlayCompleted,
    PlayedStream,
    Prompt,
    StreamDtmf,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    TurnCompleted,
    UserIdle,
    VadSpeechStarted,
    VadSpeechStopped,
    VoicemailBeep,
    VoicemailDetected,
)
from plivo_core.platform import (
    AgentSpeaks,
    CallerPlays,
    CallMode,
    Emit,
    Expect,
    Gap,
    HangUp,
    Interrupt,
    Observation,
    Pause,
    PlatformCall,
    PlatformEvent,
    Step,
    agent_tool,
    caller_presses,
    caller_says,
    model_calls_tool,
)
from plivo_core.testing import commands, conversations, scripts

Mode = Literal["agent", "stream", "raw"]


def a_call(*script: Step, mode: Mode = "agent", now: float = 0.0, **options: Any) -> PlatformCall:
    """A call whose first message has been taken."""
    call = PlatformCall(script, mode=mode, **options)
    call.start(now=now)
    for _ in range(2 if mode == "raw" else 1):
        assert isinstance(call.next_event(), AgentSessionStarted | StreamStart)
    return call


def said(call: PlatformCall) -> list[PlatformEvent]:
    return list(iter(call.next_event, None))


def kinds(events: list[PlatformEvent]) -> list[type[PlatformEvent]]:
    return [type(event) for event in events]


def hears(call: PlatformCall, *given: Command, now: float = 0.0) -> list[PlatformEvent]:
    for command in given:
        call.receive_command(command, now=now)
    return said(call)


def at(call: PlatformCall, now: float) -> list[PlatformEvent]:
    call.handle_timeout(now=now)
    return said(call)


def sound(ms: int) -> PlayAudio:
    return PlayAudio(base64.b64encode(bytes(ms * 8)).decode())


# --- opening and end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "first"),
    [
        ("agent", [AgentSessionStarted]),
        ("stream", [StreamStart]),
        ("raw", [AgentSessionStarted, StreamStart]),
    ],
)
def test_each_mode_opens_as_documented(mode: Mode, first: list[type]) -> None:
    call = PlatformCall(mode=mode, call_uuid="c", agent_session_id="a", stream_id="s")
    call.start(now=0)
    events = said(call)
    assert kinds(events) == first
    for event in events:
        assert event == parse_event(serialize_event(event))
        if isinstance(event, AgentSessionStarted):
            assert (event.agent_session_id, event.call_id) == ("a", "c")
            assert event.audio_format == ("mulaw_8k" if mode == "raw" else None)
        else:
            assert isinstance(event, StreamStart)
            assert (event.stream_id, event.call_id) == ("s", "c")


@pytest.mark.parametrize(
    ("mode", "last"),
    [
        ("agent", [AgentSessionEnded]),
        ("stream", [StreamStop]),
        ("raw", [StreamStop, AgentSessionEnded]),
    ],
)
def test_each_mode_ends_as_documented_when_the_caller_hangs_up(
    mode: Mode, last: list[type]
) -> None:
    call = a_call(Pause(1), HangUp("bored"), Emit(Dtmf(digit="1")), mode=mode)
    assert not call.finished
    events = at(call, 1)
    assert kinds(events) == last
    if mode != "stream":
        assert events[-1] == AgentSessionEnded(
            reason="bored", duration_seconds=1, turn_count=0, transcript=[]
        )
    assert call.finished
    assert call.deadline() is None
    assert hears(call, Speak("x"), now=2) == []
    assert at(call, 100) == []


@pytest.mark.parametrize("mode", ["agent", "raw"])
def test_the_application_hangs_up_an_agent(mode: Mode) -> None:
    call = a_call(mode=mode)
    events = hears(call, Hangup())
    assert events[-1] == AgentSessionEnded(reason="agent_hangup", turn_count=0, transcript=[])
    assert call.finished


def test_a_plain_stream_has_no_hang_up_command_and_no_voice() -> None:
    call = a_call(Expect(Hangup, "seen"), mode="stream")
    assert hears(call, Hangup(), Speak("x"), SendDtmf("1")) == []
    assert not call.finished
    assert call.missed == []


def test_a_managed_agent_has_no_audio_queue() -> None:
    call = a_call()
    assert hears(call, sound(20), Checkpoint("c"), ClearAudio()) == []
    assert call.playback.put_ms == 0


def test_a_farewell_is_heard_to_its_end_before_the_hang_up() -> None:
    call = a_call(seconds_per_character=0.5)
    hears(call, Speak("goodbye!"), Hangup())
    assert call.deadline() == 4
    assert at(call, 3.9) == []
    assert kinds(at(call, 4)) == [AgentSpeechCompleted, AgentSessionEnded]


def test_a_command_behind_a_hang_up_that_is_due_comes_too_late() -> None:
    call = a_call(seconds_per_character=0.5)
    hears(call, Speak("ab"), Hangup())
    events = hears(call, SendDtmf("1"), now=5)
    assert kinds(events) == [AgentSpeechCompleted, AgentSessionEnded]


def test_the_end_drops_what_was_still_to_be_played() -> None:
    call = a_call(Pause(1), HangUp(), mode="raw")
    hears(call, sound(5000), Checkpoint("c"))
    assert kinds(at(call, 1)) == [StreamStop, AgentSessionEnded]


# --- speech and barge-in --------------------------------------------------------------------------


def test_speech_is_created_started_and_completed_in_its_time() -> None:
    call = a_call(seconds_per_character=0.1)
    events = hears(call, Speak("hello"))
    assert events == [
        AgentSpeechCreated(source="say", user_initiated=True),
        AgentSpeechStarted(),
    ]
    assert call.deadline() == 0.5
    assert at(call, 0.4) == []
    assert at(call, 0.5) == [AgentSpeechCompleted(playback_position_s=0.5, transcript="hello")]
    assert call.deadline() is None


def test_barge_in_cuts_the_speech_where_it_was() -> None:
    call = a_call(Pause(1), Interrupt(), seconds_per_character=0.1)
    hears(call, Speak("0123456789abcdefghij"))
    assert at(call, 1) == [Interruption(interrupted_text="0123456789", playback_position_s=1)]
    assert at(call, 100) == []


def test_barge_in_with_nothing_to_cut_is_silent() -> None:
    call = a_call(Interrupt(), Pause(1), Interrupt(), seconds_per_character=0.1)
    hears(call, Speak("short"))
    assert kinds(at(call, 1)) == [AgentSpeechCompleted]


def test_new_speech_interrupts_the_old() -> None:
    call = a_call(seconds_per_character=1)
    hears(call, Speak("first"))
    events = hears(call, Speak("second"), now=2)
    assert kinds(events) == [Interruption, AgentSpeechCreated, AgentSpeechStarted]


def test_the_tokens_of_a_text_mode_turn_are_spoken_together() -> None:
    call = a_call(seconds_per_character=0)
    assert hears(call, Text("it "), Text("left")) == []
    events = hears(call, Text("", last=True))
    assert kinds(events) == [AgentSpeechCreated, AgentSpeechStarted, AgentSpeechCompleted]
    assert events[-1] == AgentSpeechCompleted(playback_position_s=0, transcript="it left")
    assert kinds(hears(call, Text("x", last=True)))[:1] == [AgentSpeechCreated]


def test_the_model_may_speak_while_the_script_waits_or_goes_on() -> None:
    call = a_call(
        AgentSpeaks("1234567890"), Emit(Dtmf(digit="1")), AgentSpeaks("x", wait=False), Pause(9)
    )
    events = said(call)
    assert events[0] == AgentSpeechCreated(source="generate_reply", user_initiated=False)
    assert call.deadline() == pytest.approx(0.6)
    assert kinds(at(call, 0.6)) == [
        AgentSpeechCompleted,
        Dtmf,
        AgentSpeechCreated,
        AgentSpeechStarted,
    ]


def test_speech_of_no_length_is_completed_before_the_next_step() -> None:
    call = a_call(AgentSpeaks(""), Emit(Dtmf(digit="1")))
    assert kinds(said(call))[-2:] == [AgentSpeechCompleted, Dtmf]


# --- the playback queue ---------------------------------------------------------------------------


def test_a_checkpoint_comes_back_when_its_audio_has_been_heard() -> None:
    call = a_call(mode="stream")
    hears(call, sound(500), Checkpoint("a"), sound(500), Checkpoint("b"), now=10)
    assert call.deadline() == 10.5
    assert at(call, 10.5) == [PlayedStream(name="a", stream_id="stream-1", sequence_number=2)]
    assert at(call, 10.9) == []
    assert at(call, 11) == [PlayedStream(name="b", stream_id="stream-1", sequence_number=3)]
    assert call.playback.heard_ms(10.75) == 750
    assert call.playback.heard_ms(11) == 1000
    assert hears(call, Checkpoint("late"), now=12) == [
        PlayedStream(name="late", stream_id="stream-1", sequence_number=4)
    ]


def test_a_pause_in_the_audio_is_not_played() -> None:
    call = a_call(mode="stream")
    hears(call, sound(100), now=0)
    hears(call, sound(100), Checkpoint("c"), now=5)
    assert call.deadline() == pytest.approx(5.1)
    assert call.playback.gaps == [Gap(0.1, pytest.approx(4900))]


def test_a_checkpoint_behind_a_clear_comes_back_if_some_audio_was_heard_before() -> None:
    call = a_call(mode="stream")
    hears(call, sound(1000))
    cleared = [ClearedAudio(stream_id="stream-1", sequence_number=2)]
    played = [PlayedStream(name="c", stream_id="stream-1", sequence_number=3)]
    assert hears(call, ClearAudio(), Checkpoint("c"), now=0.5) == cleared + played


def test_a_checkpoint_needs_no_clock_above_zero() -> None:
    call = a_call(mode="stream", now=-1000)
    hears(call, sound(500), Checkpoint("c"), now=-1000)
    assert call.deadline() == -999.5


def test_a_checkpoint_behind_audio_without_sound_never_comes_back() -> None:
    call = a_call(mode="stream")
    assert hears(call, PlayAudio(""), Checkpoint("c")) == []
    assert call.deadline() is None


@pytest.mark.parametrize(
    ("content_type", "rate", "ms"),
    [("audio/x-mulaw", 8000, 1000), ("audio/x-l16", 8000, 500), ("audio/x-l16", 16000, 250)],
)
def test_audio_plays_as_long_as_its_format_says(content_type: str, rate: int, ms: int) -> None:
    call = a_call(mode="stream", content_type=content_type, sample_rate=rate)
    payload = base64.b64encode(bytes(8000)).decode()
    hears(call, PlayAudio(payload, content_type=content_type, sample_rate=rate))
    assert call.playback.put_ms == ms


@pytest.mark.parametrize("mode", ["stream", "raw"])
def test_nothing_is_heard_after_the_end(mode: Mode) -> None:
    call = a_call(Pause(1), HangUp(), mode=mode)
    hears(call, sound(5000))
    at(call, 1)
    assert (call.playback.heard_ms(9), call.playback.lead_ms(9)) == (1000, 4000)
    hears(call, sound(5000), now=2)
    assert call.playback.put_ms == 5000


# --- the caller's sound ---------------------------------------------------------------------------

MULAW_100_MS = bytes(range(200)) * 4


def media(events: list[PlatformEvent]) -> list[StreamMedia]:
    return [event for event in events if isinstance(event, StreamMedia)]


def by_the_clock(
    call: PlatformCall, until: float = 1000, now: float = 0.0
) -> list[tuple[float, PlatformEvent]]:
    """Everything said, each with its time, when the clock is on time."""
    events = [(now, event) for event in said(call)]
    while (due := call.deadline()) is not None and due <= until:
        events += [(due, event) for event in at(call, due)]
    return events


@pytest.mark.parametrize("mode", ["stream", "raw"])
def test_the_caller_is_heard_frame_by_frame_in_real_time(mode: Mode) -> None:
    call = a_call(CallerPlays(MULAW_100_MS), Emit(Dtmf(digit="1")), mode=mode, now=5)
    *frames, (keyed_at, key) = by_the_clock(call, now=5)
    assert [when for when, _ in frames] == pytest.approx([5, 5.02, 5.04, 5.06, 5.08])
    assert [event for _, event in frames] == [
        StreamMedia(
            payload=base64.b64encode(MULAW_100_MS[n * 160 : n * 160 + 160]).decode(),
            timestamp=str(n * 20),
            track="inbound",
            chunk=n + 1,
            stream_id="stream-1",
            sequence_number=n + 2,  # that of `start` is 1
        )
        for n in range(5)
    ]
    assert (keyed_at, key) == (pytest.approx(5.1), Dtmf(digit="1"))
    for _, event in frames:
        assert parse_event(serialize_event(event)) == event


@pytest.mark.parametrize(
    ("content_type", "rate", "frame_ms", "size"),
    [
        ("audio/x-mulaw", 8000, 20, 160),
        ("audio/x-mulaw", 8000, 1, 8),
        ("audio/x-l16", 8000, 20, 320),
        ("audio/x-l16", 16000, 20, 640),
        ("audio/x-l16", 16000, 30, 960),
    ],
)
def test_a_frame_holds_its_milliseconds_and_the_last_what_is_left(
    content_type: str, rate: int, frame_ms: int, size: int
) -> None:
    call = a_call(
        CallerPlays(bytes(size * 2 + 2), frame_ms=frame_ms),
        Emit(UserIdle()),
        mode="stream",
        content_type=content_type,
        sample_rate=rate,
    )
    events = by_the_clock(call)
    frames = media([event for _, event in events])
    assert [len(frame.decode()) for frame in frames] == [size, size, 2]
    assert [frame.timestamp for frame in frames] == [str(n * frame_ms) for n in range(3)]
    assert events[-1][0] == pytest.approx((size * 2 + 2) * frame_ms / size / 1000)


def test_the_script_goes_on_while_the_caller_makes_a_sound() -> None:
    call = a_call(CallerPlays(bytes(480), wait=False), Emit(Dtmf(digit="1")), mode="raw")
    assert kinds(said(call)) == [StreamMedia, Dtmf]
    assert call.deadline() == 0.02
    assert kinds(at(call, 0.02)) == [StreamMedia]
    assert kinds(at(call, 0.04)) == [StreamMedia]
    assert call.deadline() is None


def test_a_second_sound_waits_for_the_end_of_the_first() -> None:
    call = a_call(
        CallerPlays(bytes(200), wait=False),  # 25 ms
        CallerPlays(bytes(320)),
        Pause(1),
        CallerPlays(bytes(8)),
        mode="stream",
    )
    events = by_the_clock(call)
    frames = media([event for _, event in events])
    assert [when for when, _ in events] == pytest.approx([0, 0.02, 0.025, 0.045, 1.065])
    assert [frame.timestamp for frame in frames] == ["0", "20", "25", "45", "1065"]
    assert [frame.sequence_number for frame in frames] == [2, 3, 4, 5, 6]
    assert [frame.chunk for frame in frames] == [1, 2, 3, 4, 5]
    assert [len(frame.decode()) for frame in frames] == [160, 40, 160, 160, 8]


def test_a_late_clock_loses_no_sound_and_shifts_none() -> None:
    call = a_call(CallerPlays(bytes(1600)), Emit(UserIdle()), mode="raw")
    hears(call, sound(50), Checkpoint("c"))
    late = at(call, 0.13)
    assert kinds(late) == [StreamMedia] * 2 + [PlayedStream] + [StreamMedia] * 4
    assert [frame.timestamp for frame in media(late)] == ["20", "40", "60", "80", "100", "120"]
    assert call.deadline() == 0.14
    assert kinds(at(call, 5)) == [StreamMedia] * 3 + [UserIdle]


def test_a_command_is_enough_to_make_the_caller_heard() -> None:
    call = a_call(CallerPlays(bytes(320)), mode="stream")
    said(call)
    assert kinds(hears(call, Checkpoint("c"), now=0.02)) == [StreamMedia]


def test_the_callers_sound_ends_with_the_call() -> None:
    call = a_call(CallerPlays(bytes(8000), wait=False), Pause(0.05), HangUp(), mode="stream")
    assert kinds([event for _, event in by_the_clock(call)]) == [StreamMedia] * 3 + [StreamStop]
    assert call.deadline() is None
    assert at(call, 9) == []


def test_no_sound_takes_no_time() -> None:
    call = a_call(CallerPlays(b""), Emit(UserIdle()), mode="raw")
    assert said(call) == [UserIdle()]
    assert call.deadline() is None


@given(
    sounds=st.lists(
        st.tuples(st.binary(max_size=1000), st.booleans(), st.integers(1, 60)), max_size=4
    ),
    clock=st.lists(st.floats(0, 0.1), max_size=20),
)
def test_every_sample_of_the_caller_arrives_once_in_order_and_not_early(
    sounds: list[tuple[bytes, bool, int]], clock: list[float]
) -> None:
    call = a_call(*[CallerPlays(*each) for each in sounds], mode="stream")
    events, now = media(said(call)), 0.0
    for seconds in clock:
        now += seconds
        frames = media(at(call, now))
        assert all(int(frame.timestamp) <= now * 1000 + 0.5 for frame in frames)
        events += frames
        due = call.deadline()
        assert due is None or due > now
    events += media([event for _, event in by_the_clock(call)])
    assert b"".join(frame.decode() for frame in events) == b"".join(each[0] for each in sounds)
    assert [frame.sequence_number for frame in events] == list(range(2, len(events) + 2))


# --- formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "content_type", "rate", "name"),
    [
        ("raw", "audio/x-mulaw", 8000, "mulaw_8k"),
        ("raw", "audio/x-l16", 16000, "pcm_16k"),
        ("stream", "audio/x-mulaw", 8000, None),
        ("stream", "audio/x-l16", 8000, None),
        ("stream", "audio/x-l16", 16000, None),
    ],
)
def test_the_first_messages_name_the_format(
    mode: Mode, content_type: str, rate: int, name: str | None
) -> None:
    call = PlatformCall(mode=mode, content_type=content_type, sample_rate=rate)
    call.start(now=0)
    for event in said(call):
        if isinstance(event, AgentSessionStarted):
            assert event.audio_format == name
        else:
            assert isinstance(event, StreamStart)
            assert (event.content_type, event.sample_rate) == (content_type, rate)
            assert event.sequence_number == 1


@pytest.mark.parametrize(
    ("mode", "content_type", "rate", "possible"),
    [
        ("raw", "audio/x-l16", 8000, "audio/x-mulaw at 8000 Hz, audio/x-l16 at 16000 Hz"),
        ("raw", "audio/x-mulaw", 16000, "audio/x-mulaw at 8000 Hz, audio/x-l16 at 16000 Hz"),
        (
            "stream",
            "audio/x-l16",
            24000,
            "audio/x-mulaw at 8000 Hz, audio/x-l16 at 8000 Hz, audio/x-l16 at 16000 Hz",
        ),
        ("agent", "audio/ogg", 8000, "audio/x-mulaw at 8000 Hz"),
    ],
)
def test_a_format_the_platform_does_not_have_is_refused(
    mode: Mode, content_type: str, rate: int, possible: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        PlatformCall(mode=mode, content_type=content_type, sample_rate=rate)
    assert f"mode {mode!r} has no {content_type} at {rate} Hz" in str(caught.value)
    assert possible in str(caught.value)


def test_sound_needs_a_stream() -> None:
    with pytest.raises(ConfigError, match="mode 'agent' has none") as caught:
        PlatformCall([Pause(1), CallerPlays(bytes(160))])
    assert "caller_says()" in caught.value.hint


@pytest.mark.parametrize("frame_ms", [0, -20])
def test_frames_have_a_length(frame_ms: int) -> None:
    with pytest.raises(ConfigError, match=f"not of {frame_ms} ms"):
        PlatformCall([CallerPlays(bytes(160), frame_ms=frame_ms)], mode="stream")


def test_all_stream_events_share_one_numbering() -> None:
    given = Emit(StreamDtmf(digit="1", sequence_number=77))
    script = [CallerPlays(bytes(160)), Emit(StreamDtmf(digit="5")), given, HangUp()]
    call = PlatformCall(script, mode="raw")
    call.start(now=0)
    numbered = said(call) + hears(call, sound(20), Checkpoint("c"), ClearAudio()) + at(call, 1)
    numbers = [event.sequence_number for event in numbered if isinstance(event, StreamEvent)]
    assert numbers == [1, 2, 3, 4, 77, 6]


def test_sound_is_made_of_whole_samples() -> None:
    script = [CallerPlays(bytes(161))]
    PlatformCall(script, mode="stream")
    with pytest.raises(ConfigError, match="161 bytes"):
        PlatformCall(script, mode="stream", content_type="audio/x-l16")


def test_a_checkpoint_without_any_audio_never_comes_back() -> None:
    call = a_call(mode="stream")
    assert hears(call, Checkpoint("c")) == []
    hears(call, sound(1000))
    assert kinds(hears(call, ClearAudio(), Checkpoint("d"))) == [ClearedAudio]
    assert at(call, 100) == []


def test_a_clear_empties_the_queue_and_its_checkpoints_stay_silent() -> None:
    call = a_call(mode="raw")
    hears(call, sound(1000), Checkpoint("c"))
    assert kinds(hears(call, ClearAudio(), now=0.25)) == [ClearedAudio]
    assert call.playback.heard_ms(9) == 250
    assert call.playback.put_ms - call.playback.cleared_ms == 250
    assert call.deadline() is None
    hears(call, sound(100), Checkpoint("next"), now=1)
    assert kinds(at(call, 1.2)) == [PlayedStream]


# --- other reactions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (SendDtmf("12#"), [DtmfSent(digits="12#")]),
        (Transfer(["+1", "sip:a"]), [CallTransferred(destination=["+1", "sip:a"])]),
        (Update({"system_prompt": "p", "tools": []}), [AgentHandoff()]),
        (Update({"system_prompt": "p", "llm": {}}), [AgentHandoff()]),
        (Update({"system_prompt": "p"}), []),
        (Update({"tools": []}), []),
        (Inject("x"), []),
        (ExtendWait(), []),
        (SendStreamDtmf("1"), []),
        (RawCommand({"type": "new"}), []),
        (ToolResult("t", 1), []),
    ],
)
def test_the_platform_answers_a_command_as_documented(
    command: Command, answer: list[PlatformEvent]
) -> None:
    assert hears(a_call(), command) == answer


def test_played_audio_completes_in_its_time() -> None:
    call = a_call()
    hears(call, Play(base64.b64encode(bytes(48_000)).decode()))  # 1.5 s at 16 kHz
    assert call.deadline() == 1.5
    assert at(call, 1.5) == [PlayCompleted()]


# --- scripts --------------------------------------------------------------------------------------


def test_the_caller_says_and_presses() -> None:
    call = a_call(*caller_says("hello", language="en"), *caller_presses("1#"))
    assert said(call) == [
        VadSpeechStarted(),
        VadSpeechStopped(duration_ms=300),
        Prompt(text="hello", is_final=True, language="en"),
        Dtmf(digit="1"),
        Dtmf(digit="#"),
    ]


def test_an_agent_tool_has_its_turn_in_between() -> None:
    call = a_call(*agent_tool("collect_email", "a-1", {"email_address": "pat@example.com"}))
    events = said(call)
    assert kinds(events) == [AgentToolStarted, TurnCompleted, AgentToolCompleted]
    assert {e.agent_tool_id for e in events} == {"a-1"}  # type: ignore[union-attr]


def test_an_expectation_is_met_by_the_command_it_describes() -> None:
    call = a_call(
        *model_calls_tool("t-1", "lookup", {"id": 1}, answer=ToolResult), Emit(UserIdle())
    )
    assert said(call) == [ToolCall(id="t-1", name="lookup", arguments={"id": 1})]
    assert call.deadline() == 2
    assert hears(call, ToolResult("t-2", 1), ToolError("t-1", "no"), now=1) == []
    assert hears(call, ToolResult("t-1", 1), now=1.5) == [UserIdle()]
    assert call.observations == [Observation("answer to tool lookup", met=True, at=1.5)]
    assert call.missed == []


def test_a_command_that_came_earlier_meets_a_later_expectation_once() -> None:
    call = a_call(Pause(1), Expect(Speak, "one"), Expect(Speak, "two", within=3))
    hears(call, Speak("early"))
    at(call, 1)
    assert call.observations == [Observation("one", met=True, at=1)]
    assert call.missed == ["two"]
    assert call.deadline() == 4


def test_an_expectation_is_given_up_in_its_time_and_the_script_goes_on() -> None:
    call = a_call(Expect(Speak, "a word", within=1), Emit(UserIdle()), Expect(Hangup, "unreached"))
    assert call.missed == ["a word", "unreached"]
    at(call, 0.9)
    assert call.observations == []
    assert at(call, 1) == [UserIdle()]
    assert call.observations == [Observation("a word", met=False, at=1)]


def test_the_end_judges_the_expectations_behind_it() -> None:
    call = a_call(
        Pause(1), HangUp(), Expect(Speak, "was said"), Expect(Inject, "was not"), Pause(5)
    )
    hears(call, Speak("hi"))
    at(call, 1)
    assert [(seen.label, seen.met) for seen in call.observations] == [
        ("was said", True),
        ("was not", False),
    ]
    assert call.missed == ["was not"]


def test_invalid_messages_of_the_application_are_kept() -> None:
    call, invalid = a_call(), InvalidMessage("{", "invalid_json")
    call.receive_command(invalid, now=0)
    assert call.invalid == [invalid]
    for _ in range(1000):
        call.receive_command(invalid, now=0)
    assert len(call.invalid) == 1000


def test_the_clock_may_start_anywhere() -> None:
    call = a_call(Emit(UserIdle()), Pause(1), HangUp(), now=-1000)
    assert said(call) == [UserIdle()]
    assert call.deadline() == -999


# --- any script, any commands ---------------------------------------------------------------------


@settings(max_examples=60)
@given(data=st.data(), mode=st.sampled_from(["agent", "text", "speech", "raw", "stream"]))
def test_any_script_with_any_commands_keeps_the_order_rules(
    data: st.DataObject, mode: CallMode
) -> None:
    call = PlatformCall(data.draw(scripts(mode)), mode=mode)
    call.start(now=0)
    events, now = said(call), 0.0
    for command in data.draw(st.lists(commands(), max_size=5)):
        events += hears(call, command, now=now)
    for _ in range(200):
        due = call.deadline()
        if due is None:
            break
        assert due > now  # what is due was done
        now = due
        events += at(call, now)
    assert call.deadline() is None

    speaking = False
    for event in events:
        assert parse_event(serialize_event(event)) == event
        if isinstance(event, AgentSpeechStarted):
            assert not speaking
        if isinstance(event, AgentSpeechCompleted) or (
            # An agent with raw audio is interrupted while its audio plays, without any speech.
            isinstance(event, Interruption) and mode != "raw"
        ):
            assert speaking
        if isinstance(event, AgentSpeechStarted | AgentSpeechCompleted | Interruption):
            speaking = isinstance(event, AgentSpeechStarted)
    ends = [type(event) for event in events if isinstance(event, StreamStop | AgentSessionEnded)]
    expected = {
        "agent": [AgentSessionEnded],
        "text": [AgentSessionEnded],
        "speech": [AgentSessionEnded],
        "stream": [StreamStop],
        "raw": [StreamStop, AgentSessionEnded],
    }
    assert ends == (expected[mode] if call.finished else [])
    if ends:
        assert kinds(events)[-len(ends) :] == ends


@settings(max_examples=60)
@given(conversation=conversations())
def test_conversations_keep_the_order_rules(conversation: list[Any]) -> None:
    assert isinstance(conversation[0], AgentSessionStarted | StreamStart)
    calls = [event.id for event in conversation if isinstance(event, ToolCall)]
    assert len(set(calls)) == len(calls)
    open_tools: set[str] = set()
    members: set[str] = set()
    machine = False
    retries = 0
    for event in conversation:
        assert parse_event(serialize_event(event)) == event
        if isinstance(event, AgentToolStarted):
            open_tools.add(event.agent_tool_id)
        elif isinstance(event, TurnCompleted) and event.agent_tool_id:
            assert event.agent_tool_id in open_tools
        elif isinstance(event, ParticipantAdded):
            members.add(event.member_id)
        elif isinstance(event, ParticipantRemoved):
            members.remove(event.member_id)
        elif isinstance(event, VoicemailDetected):
            machine = event.result == "machine"
        elif isinstance(event, VoicemailBeep):
            assert machine
        elif isinstance(event, UserIdle):
            assert event.retry_count > retries
            retries = int(event.retry_count)
    last = [
        type(event) for event in conversation if isinstance(event, AgentSessionEnded | StreamStop)
    ]
    assert len(last) == len(set(last))
    assert not last or type(conversation[-1]) in last


@pytest.mark.parametrize("mode", ["agent", "text", "speech", "raw", "stream"])
def test_conversations_of_one_mode_open_as_that_mode_does(mode: Any) -> None:
    @settings(max_examples=15)
    @given(conversation=conversations(mode))
    def check(conversation: list[Any]) -> None:
        opening = {type(event) for event in conversation[: 2 if mode == "raw" else 1]}
        assert (AgentSessionStarted in opening) == (mode != "stream")
        assert (StreamStart in opening) == (mode in ("raw", "stream"))

    check()
