"""The simulated platform's voices, patience and turns, in the order of PROTOCOL.md 10."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plivo_core import ConfigError, LocalProtocolError
from plivo_core.commands import (
    Checkpoint,
    ExtendWait,
    Hangup,
    Inject,
    PlayAudio,
    RawCommand,
    Speak,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    AgentSpeechCompleted,
    AgentSpeechCreated,
    AgentSpeechStarted,
    AgentToolFailed,
    Dtmf,
    Error,
    Interruption,
    PlayedStream,
    Prompt,
    SessionUsage,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
    TurnCompleted,
    TurnDetected,
    TurnMetrics,
    UserIdle,
    VadSpeechStarted,
    VadSpeechStopped,
)
from plivo_core.platform import (
    AgentSettings,
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    CallMode,
    Closes,
    Emit,
    Expect,
    Fault,
    HangUp,
    Interrupt,
    Never,
    Observation,
    Pause,
    PlatformCall,
    PlatformEvent,
    Step,
    Until,
    agent_tool,
)

SPOKEN = [AgentSpeechCreated, AgentSpeechStarted, AgentSpeechCompleted]


def a_call(
    *script: Step, mode: CallMode = "agent", pace: float = 0.1, **settings: Any
) -> PlatformCall:
    """A call whose first messages have been taken; ``pace`` is seconds per character."""
    call = PlatformCall(
        script, mode=mode, seconds_per_character=pace, settings=AgentSettings(**settings)
    )
    call.start(now=0)
    for _ in range(2 if mode == "raw" else 1):
        assert isinstance(call.next_event(), AgentSessionStarted | StreamStart)
    return call


def said(call: PlatformCall) -> list[PlatformEvent]:
    return list(iter(call.next_event, None))


def at(call: PlatformCall, now: float) -> list[PlatformEvent]:
    call.handle_timeout(now=now)
    return said(call)


def by_the_clock(call: PlatformCall, until: float = 1000) -> list[tuple[float, PlatformEvent]]:
    """Everything said, each with its time, when the clock is on time."""
    events = [(0.0, event) for event in said(call)]
    while (due := call.deadline()) is not None and due <= until:
        events += [(round(due, 6), event) for event in at(call, due)]
    return events


def kinds(events: list[PlatformEvent]) -> list[type[PlatformEvent]]:
    return [type(event) for event in events]


# --- opening --------------------------------------------------------------------------------------


def test_the_first_message_says_who_calls_whom() -> None:
    settings = AgentSettings(caller="+1", callee="+2", agent_id="a-1")
    call = PlatformCall(settings=settings)
    call.start(now=0)
    started = call.next_event()
    assert isinstance(started, AgentSessionStarted)
    assert (started.caller, started.callee, started.agent_id) == ("+1", "+2", "a-1")


def test_a_stream_carries_its_extra_headers() -> None:
    call = PlatformCall(mode="stream", settings=AgentSettings(extra_headers={"tenant": "42"}))
    call.start(now=0)
    start = call.next_event()
    assert isinstance(start, StreamStart)
    assert start.extra_headers == {"tenant": "42"}


@pytest.mark.parametrize("mode", ["agent", "text", "speech"])
def test_a_greeting_comes_first(mode: CallMode) -> None:
    call = a_call(mode=mode, welcome_greeting="Hi")
    events = by_the_clock(call)
    assert kinds([event for _, event in events]) == SPOKEN
    assert events[-1] == (0.2, AgentSpeechCompleted(playback_position_s=0.2, transcript="Hi"))


@pytest.mark.parametrize("mode", ["raw", "stream"])
def test_nobody_greets_where_nobody_speaks(mode: CallMode) -> None:
    assert by_the_clock(a_call(mode=mode, welcome_greeting="Hi")) == []


# --- the caller's words ---------------------------------------------------------------------------


def test_words_take_their_time_and_are_transcribed_in_text_mode() -> None:
    call = a_call(
        CallerSays("one two three four", language="en", partials=2),
        Emit(Dtmf(digit="1")),
        mode="text",
        events=["vad_events", "turn_events"],
    )
    assert by_the_clock(call) == [
        (0, VadSpeechStarted()),
        (0.6, Prompt(text="one", is_final=False, language="en")),
        (1.2, Prompt(text="one two", is_final=False, language="en")),
        (1.8, VadSpeechStopped(duration_ms=1800)),
        (1.8, Prompt(text="one two three four", is_final=True, language="en")),
        (1.8, TurnDetected(turn_id="turn-1", trigger="silence", duration_ms=1800)),
        (1.8, Dtmf(digit="1")),
    ]


@pytest.mark.parametrize("mode", ["agent", "speech"])
def test_a_platform_that_has_a_model_transcribes_for_itself(mode: CallMode) -> None:
    call = a_call(CallerSays("hello", partials=3), Emit(Dtmf(digit="1")), mode=mode)
    assert by_the_clock(call) == [(0.5, Dtmf(digit="1"))]


def test_the_application_opts_in_and_out() -> None:
    call = a_call(Pause(1), CallerSays("a"), Pause(1), CallerSays("b"))
    on, off = {"vad_events": True, "turn_events": False}, {"vad_events": False}
    call.receive_command(Update({"events": on}), now=0)
    call.receive_command(Update({"events": None}), now=0)
    assert kinds(at(call, 1)) == [VadSpeechStarted]
    assert kinds(at(call, 1.1)) == [VadSpeechStopped]
    call.receive_command(Update({"events": off}), now=1.2)
    assert by_the_clock(call) == []


@pytest.mark.parametrize("mode", ["raw", "stream"])
def test_words_need_somebody_who_transcribes(mode: CallMode) -> None:
    with pytest.raises(ConfigError, match=f"in mode '{mode}' nobody"):
        PlatformCall([CallerSays("hello")], mode=mode)


def test_to_speak_over_the_agent_is_a_barge_in() -> None:
    call = a_call(AgentSpeaks("0123456789", wait=False), Pause(0.3), CallerSays("no"))
    said(call)
    assert at(call, 0.3) == [Interruption(interrupted_text="012", playback_position_s=0.3)]


# --- turns ----------------------------------------------------------------------------------------


def test_the_agents_speech_completes_the_turn() -> None:
    call = a_call(CallerSays("why"), Pause(0.2), AgentSpeaks("because"))
    *_, (spoken_at, spoken), (turn_at, turn) = by_the_clock(call)
    assert (spoken_at, type(spoken)) == (1.2, AgentSpeechCompleted)
    assert (turn_at, turn) == (
        1.2,
        TurnCompleted(
            user_text="why",
            agent_text="because",
            turn_id="turn-1",
            turn_number=1,
            agent_first=False,
        ),
    )


def test_metrics_and_usage_follow_where_they_are_wanted() -> None:
    script = [CallerSays("a b"), Pause(0.2), AgentSpeaks("c d e"), AgentSpeaks("more")]
    events = [event for _, event in by_the_clock(a_call(*script, events=["metrics_events"]))]
    first, metrics, usage = events[2:6][1:]
    assert isinstance(first, TurnCompleted)
    assert metrics == TurnMetrics(
        turn_number=1, interrupted=False, user_perceived_ms=200, tts_audio_duration_ms=500
    )
    assert isinstance(usage, SessionUsage)
    assert [record["type"] for record in usage.models] == ["llm_usage", "tts_usage", "stt_usage"]
    assert usage.models[0]["input_tokens"] == 2
    assert usage.models[0]["output_tokens"] == 3
    assert usage.models[1]["characters_count"] == 5
    assert usage.models[2]["audio_duration"] == 0.3
    assert kinds(events[6:]) == SPOKEN  # no question, no turn


@pytest.mark.parametrize(
    ("mode", "models"), [("text", ["tts_usage", "stt_usage"]), ("speech", ["llm_usage"])]
)
def test_usage_is_that_of_the_pipeline(mode: CallMode, models: list[str]) -> None:
    call = a_call(CallerSays("a"), AgentSpeaks("b"), mode=mode, events=["metrics_events"])
    usage = by_the_clock(call)[-1][1]
    assert isinstance(usage, SessionUsage)
    assert [record["type"] for record in usage.models] == models


def test_a_turn_that_is_cut_short_says_so() -> None:
    call = a_call(
        CallerSays("q"),
        AgentSpeaks("0123456789", wait=False),
        Pause(0.5),
        Interrupt(),
        events=["metrics_events"],
    )
    cut, turn, metrics, usage = [event for _, event in by_the_clock(call)][2:]
    assert isinstance(cut, Interruption)
    assert (cut.interrupted_text, cut.turn_id) == ("01234", "turn-1")
    assert isinstance(turn, TurnCompleted)
    assert turn.agent_text == "01234"
    assert isinstance(metrics, TurnMetrics)
    assert metrics.interrupted
    assert isinstance(usage, SessionUsage)
    assert usage.models[1]["characters_count"] == 5  # not what was never spoken


def test_text_mode_does_not_tell_which_words_were_cut() -> None:
    call = a_call(Pause(0.5), Interrupt(), mode="text")
    call.receive_command(Text("0123456789", last=True), now=0)
    cut = at(call, 0.5)[-1]
    assert isinstance(cut, Interruption)
    assert cut.interrupted_text is None


def test_a_second_question_before_the_answer_is_a_turn_of_its_own() -> None:
    call = a_call(CallerSays("a"), CallerSays("b"), AgentSpeaks("c"))
    turn = by_the_clock(call)[-1][1]
    assert isinstance(turn, TurnCompleted)
    assert (turn.user_text, turn.turn_number) == ("b", 2)


def test_the_end_brings_the_transcript() -> None:
    call = a_call(CallerSays("hi"), AgentSpeaks("hello"), Pause(1.5), HangUp())
    ended = by_the_clock(call)[-1][1]
    assert ended == AgentSessionEnded(
        reason="caller_hangup",
        duration_seconds=2,
        turn_count=1,
        transcript=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
        ],
    )


# --- barge-in in raw audio ------------------------------------------------------------------------


def test_an_agent_with_raw_audio_is_told_while_its_audio_plays() -> None:
    call = a_call(Pause(0.25), Interrupt(), Pause(1), Interrupt(), mode="raw")
    call.receive_command(PlayAudio(base64.b64encode(bytes(8000)).decode()), now=0)
    assert at(call, 0.25) == [Interruption(playback_position_s=0.25)]
    assert at(call, 1.25) == []


# --- silence --------------------------------------------------------------------------------------


def test_silence_is_told_with_a_growing_count_and_then_ends_the_call() -> None:
    call = a_call(no_response_timeout_s=5, max_retries=2)
    events = by_the_clock(call)
    assert events[:3] == [
        (5, UserIdle(retry_count=1, reason="no_response")),
        (10, UserIdle(retry_count=2, reason="no_response")),
        (15, UserIdle(retry_count=3, reason="max_retries_exhausted")),
    ]
    (at_, ended) = events[3]
    assert (at_, isinstance(ended, AgentSessionEnded) and ended.reason) == (15, "idle_timeout")
    assert call.finished


def test_a_late_clock_tells_the_silences_in_order() -> None:
    call = a_call(no_response_timeout_s=1, max_retries=1)
    assert kinds(at(call, 100)) == [UserIdle, UserIdle, AgentSessionEnded]


def test_reminders_are_spoken_and_silence_counts_from_their_end() -> None:
    call = a_call(no_response_timeout_s=5, max_retries=1, reminder_message="Hello?")
    events = by_the_clock(call)
    assert [when for when, _ in events] == [5, 5, 5, 5.6, 10.6, 10.6]
    assert kinds([event for _, event in events])[:4] == [UserIdle, *SPOKEN]


def test_the_agents_own_audio_is_no_silence_of_the_caller() -> None:
    call = a_call(mode="raw", no_response_timeout_s=1, max_retries=0)
    call.receive_command(PlayAudio(base64.b64encode(bytes(16_000)).decode()), now=0.5)
    assert call.deadline() == 3.5


@pytest.mark.parametrize(
    ("step", "mode", "due"),
    [
        (CallerSays("abcde"), "agent", 4.5),
        (Emit(Dtmf(digit="1")), "agent", 4),
        (Interrupt(), "agent", 4),
        (CallerPlays(bytes(4000)), "raw", 4.5),
    ],
)
def test_whatever_the_caller_does_breaks_the_silence(
    step: Step, mode: CallMode, due: float
) -> None:
    call = a_call(Pause(3), step, mode=mode, no_response_timeout_s=2, max_retries=3)
    assert at(call, 2) == [UserIdle(retry_count=1, reason="no_response")]
    call.handle_timeout(now=3)
    idles = [(when, event) for when, event in by_the_clock(call, 7) if type(event) is UserIdle]
    assert idles[0] == (pytest.approx(due + 1), UserIdle(retry_count=1, reason="no_response"))


def test_more_patience_can_be_asked_for() -> None:
    call = a_call(no_response_timeout_s=2, extended_wait_time_s=30)
    call.receive_command(ExtendWait(), now=1)
    assert call.deadline() == 31


def test_a_plain_stream_minds_no_silence() -> None:
    assert a_call(mode="stream", no_response_timeout_s=1).deadline() is None


def test_a_hang_up_under_way_is_waited_for_in_peace() -> None:
    call = a_call(no_response_timeout_s=1)
    call.receive_command(Speak("x" * 50), now=0)
    call.receive_command(Hangup(), now=0)
    said(call)
    assert kinds(at(call, 9)) == [AgentSpeechCompleted, AgentSessionEnded]


def test_a_farewell_that_is_interrupted_does_not_bring_the_silence_back() -> None:
    call = a_call(Pause(1), Interrupt(), no_response_timeout_s=1)
    call.receive_command(Speak("x" * 50), now=0)
    call.receive_command(Hangup(), now=0)
    assert [when for when, _ in by_the_clock(call)][-2:] == [1, 5]


# --- tools ----------------------------------------------------------------------------------------

CALLED = Emit(ToolCall(id="t-1", name="look_up"))


def test_a_tool_call_without_an_answer_fails_in_its_time() -> None:
    call = a_call(CALLED, tool_call_timeout_s=3)
    assert by_the_clock(call)[1:] == [
        (3, Error(code="tool_call_timeout", message="no answer to look_up (t-1) within 3 s"))
    ]
    call.receive_command(ToolResult("t-1", 1), now=4)  # too late, and inert
    assert said(call) == []


@pytest.mark.parametrize("answer", [ToolResult("t-1", 1), ToolError("t-1", "no")])
def test_an_answer_in_time_is_enough(answer: ToolResult | ToolError) -> None:
    call = a_call(CALLED)
    assert call.deadline() == 30
    call.receive_command(ToolResult("t-2", 1), now=0)
    assert call.deadline() == 30
    call.receive_command(answer, now=0)
    assert call.deadline() is None


def test_a_collector_may_fail() -> None:
    events = said(a_call(*agent_tool("collect_email", "a-1", error="declined")))
    assert events[-1] == AgentToolFailed(
        agent_tool_type="collect_email", agent_tool_id="a-1", error="declined"
    )


# --- steps that watch -----------------------------------------------------------------------------


def test_until_waits_for_what_the_platform_says() -> None:
    call = a_call(
        AgentSpeaks("ab", wait=False),
        Until(AgentSpeechCompleted, "spoken", {"transcript": "ab"}),
        Emit(Dtmf(digit="1")),
    )
    assert kinds([event for _, event in by_the_clock(call)]) == [*SPOKEN, Dtmf]
    assert call.observations == [Observation("spoken", met=True, at=0.2)]


def test_until_forgets_what_was_before() -> None:
    script = [CALLED, Emit(Dtmf(digit="1")), Until(Dtmf, "key"), Until(ToolCall, "call")]
    call = a_call(*script)
    assert call.missed == ["call"]
    at(call, 2)
    assert call.observations == [
        Observation("key", met=True, at=0),
        Observation("call", met=False, at=2),
    ]


def test_the_callers_sound_is_nothing_to_wait_for() -> None:
    call = a_call(CallerPlays(bytes(160)), Until(StreamMedia, "sound", within=1), mode="raw")
    by_the_clock(call)
    assert call.missed == ["sound"]


def test_never_is_met_when_its_time_is_over() -> None:
    call = a_call(Never(Speak, "silence", during=1), Emit(Dtmf(digit="1")))
    call.receive_command(Inject("x"), now=0.5)
    assert at(call, 1) == [Dtmf(digit="1")]
    call.receive_command(Speak("now I may"), now=1.5)
    assert call.observations == [Observation("silence", met=True, at=1)]


def test_never_is_missed_once_by_the_first_such_command() -> None:
    call = a_call(Never(Speak, "silence", {"text": "x"}, during=1), Pause(1), HangUp())
    for now in (0.5, 0.6):
        call.receive_command(Speak("x"), now=now)
    at(call, 1)
    at(call, 2)
    assert call.observations == [Observation("silence", met=False, at=0.5)]
    assert call.missed == ["silence"]


def test_never_without_an_end_is_judged_by_the_end_of_the_call() -> None:
    call = a_call(Never(Speak, "no word"), Never(Inject, "no line"), Pause(1), HangUp())
    call.receive_command(Inject("x"), now=0.5)
    at(call, 1)
    assert call.observations == [
        Observation("no line", met=False, at=0.5),
        Observation("no word", met=True, at=1),
    ]


def test_what_came_before_never_does_not_count() -> None:
    call = a_call(Pause(1), Never(Speak, "silence", during=1))
    call.receive_command(Speak("early"), now=0.5)
    at(call, 1)
    at(call, 2)
    assert call.missed == []


def test_a_call_that_ends_while_never_waits_met_it() -> None:
    call = a_call(Never(Speak, "silence", during=9))
    call.receive_command(Hangup(), now=1)
    assert call.observations == [Observation("silence", met=True, at=1)]
    assert call.deadline() is None


def test_the_close_is_seen_after_the_end() -> None:
    call = a_call(HangUp(), Closes("clean", 1000), Closes("any"))
    assert call.deadline() == 2
    call.receive_close(1000, now=1)
    assert [(seen.label, seen.met) for seen in call.observations] == [
        ("clean", True),
        ("any", True),
    ]
    assert call.deadline() is None


def test_a_close_that_never_comes_is_given_up() -> None:
    call = a_call(HangUp(), Closes("clean", 1000))
    call.receive_command(Speak("late"), now=1)
    at(call, 2)
    assert call.missed == ["clean"]


def test_another_close_is_not_the_one() -> None:
    call = a_call(Closes("clean", 1000))
    call.receive_close(1011, now=1)
    assert call.observations == [Observation("clean", met=False, at=1)]
    assert call.finished


def test_a_connection_that_breaks_ends_the_call_without_a_word() -> None:
    call = a_call(Expect(Speak, "a word"), Emit(Dtmf(digit="1")), mode="raw")
    call.receive_close(now=1)
    assert said(call) == []
    assert call.missed == ["a word"]


def test_the_hang_up_of_the_application_is_not_overtaken_by_the_callers() -> None:
    call = a_call(Expect(Hangup, "hang-up"), HangUp("caller_hangup"))
    call.receive_command(Speak("bye"), now=0)
    call.receive_command(Hangup(), now=0)
    ended = by_the_clock(call)[-1][1]
    assert isinstance(ended, AgentSessionEnded)
    assert ended.reason == "agent_hangup"


def test_a_fault_is_handed_out_in_its_place_and_is_no_event() -> None:
    fault = Fault("drop", "the network fails")
    call = a_call(Emit(Dtmf(digit="1")), fault, Emit(Dtmf(digit="2")))
    assert call.next_item() == Dtmf(digit="1")
    assert call.next_item() == fault
    assert call.next_item() == Dtmf(digit="2")
    assert call.next_item() is None
    assert call.observations == [Observation("the network fails", met=True, at=0)]
    with pytest.raises(LocalProtocolError, match="ScenarioRun"):
        a_call(fault).next_event()


# --- what an expectation matches ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "command", "fits"),
    [
        ({"result": {"a": 1}}, ToolResult("t", {"a": 1, "b": 2}), True),
        ({"result": {"a": {"b": 1}}}, ToolResult("t", {"a": {"b": 1, "c": 2}}), True),
        ({"result": {"a": 1}}, ToolResult("t", {"b": 2}), False),
        ({"result": {"a": 1}}, ToolResult("t", [1]), False),
        ({"destination": ["+1", "+2"]}, Transfer(["+1", "+2"]), True),
        ({"destination": ["+1"]}, Transfer(["+1", "+2"]), False),
        ({"events": {"vad_events": True}}, Update({"events": {"vad_events": True}}), True),
        ({"fields": {"tools": []}}, Update({"tools": [], "llm": {}}), True),
        ({"message": {"a": 1}}, RawCommand({"a": 1}), True),
        ({"events": {}}, Update({"tools": []}), False),
        ({"a": 1}, RawCommand({"a": 1}), True),
        ({"nothing": 1}, Speak("x"), False),
    ],
)
def test_an_expectation_needs_what_it_names(where: Any, command: Any, fits: bool) -> None:
    assert Expect(type(command), "", where).matches(command) is fits
    assert Never(type(command), "", where).matches(command) is fits


def test_latency_is_from_the_last_event_to_the_command() -> None:
    call = a_call(Pause(1), CALLED, Expect(ToolResult, "answer"), Expect(Speak, "word"))
    at(call, 1)
    call.receive_command(ToolResult("t-1", 1), now=1.25)
    call.receive_command(Speak("x"), now=1.5)
    assert [seen.latency for seen in call.observations] == [0.25, 0.5]


def test_an_echo_answers_the_sound() -> None:
    call = a_call(CallerPlays(bytes(320)), Expect(PlayAudio, "echo"), mode="raw")
    at(call, 0.02)
    call.receive_command(PlayAudio("AAAA"), now=0.03)
    at(call, 0.04)
    assert [seen.latency for seen in call.observations] == [pytest.approx(0.01)]


def test_an_empty_outbox_has_no_latency() -> None:
    call = PlatformCall([Expect(Speak, "word")])
    call.receive_command(Speak("early"), now=0)
    call.start(now=0)
    assert [seen.latency for seen in call.observations] == [None]


# --- somebody else hangs up -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "end"),
    [
        ("agent", [AgentSessionEnded]),
        ("raw", [StreamStop, AgentSessionEnded]),
        ("stream", [StreamStop]),
    ],
)
def test_a_call_can_be_ended_from_outside(mode: CallMode, end: list[type[Any]]) -> None:
    call = a_call(Pause(100), AgentSpeaks("never"), mode=mode)
    call.hang_up(now=3)
    told = said(call)
    assert kinds(told) == end
    assert call.finished
    assert call.deadline() is None
    call.hang_up("again", now=4)
    assert said(call) == []
    assert all(
        (event.reason, event.duration_seconds) == ("api_hangup", 3)
        for event in told
        if isinstance(event, AgentSessionEnded)
    )


def test_a_call_ended_before_it_began_says_nothing() -> None:
    call = PlatformCall([AgentSpeaks("hi")])
    call.hang_up(now=1)
    call.start(now=2)
    assert call.finished
    assert said(call) == []
    assert call.deadline() is None


# --- order ----------------------------------------------------------------------------------------


def test_speech_without_length_is_over_before_the_next_begins() -> None:
    call = PlatformCall(
        [AgentSpeaks("two")],
        settings=AgentSettings(welcome_greeting="one"),
        seconds_per_character=0,
    )
    call.start(now=0)
    assert kinds(said(call)) == [AgentSessionStarted, *SPOKEN, *SPOKEN]


def test_a_checkpoint_behind_audio_heard_long_ago_is_acknowledged_now() -> None:
    expected = Expect(Transfer, "last")
    call = a_call(expected, mode="raw", tool_call_timeout_s=1)
    call.receive_command(PlayAudio(payload="AAAA"), now=0.1)
    call.receive_command(Checkpoint(name="x", stream_id="stream-1"), now=1)
    assert kinds(said(call)) == [PlayedStream]
    call.receive_command(Transfer(destination=["+1"]), now=1.25)
    (seen,) = call.observations
    assert seen.latency == 0.25  # since playedStream, not since the audio was over
