"""The session's states, identity and end; what is refused and what that leaves behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import (
    Ended,
    InvalidCommandError,
    InvalidMessage,
    Limits,
    LocalProtocolError,
    MediaFormat,
    PlivoError,
    RemoteProtocolError,
    SendQueueFull,
    Session,
    SessionClosedError,
    State,
    UnknownEvent,
    WebSocketError,
)
from plivo_core.commands import Checkpoint, ClearAudio, Command, RawCommand, Speak, ToolResult
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    ClearedAudio,
    Dtmf,
    PlayedStream,
    StreamMedia,
    StreamStart,
    StreamStop,
    ToolCall,
)
from plivo_core.playback import Fate
from plivo_core.session import TRANSITIONS, Input, ToolCallState
from plivo_core.testing import commands, hostile_messages
from tests.core.calls import (
    START,
    STARTED,
    a_session,
    everything,
    handed_out,
    hears,
    is_over,
    message,
    names,
    texts,
    the_end,
)

PAGE = Path(__file__).parents[2] / "docs" / "session.md"
ENDED_BY_AGENT = AgentSessionEnded(duration_seconds=1)
KEY = Dtmf(digit="5")


# --- the table and its figure ---------------------------------------------------------------------


def diagram() -> str:
    """The mermaid figure of docs/session.md: every edge that leads to another state."""
    lines = ["stateDiagram-v2", "    [*] --> NEW"]
    for state, row in TRANSITIONS.items():
        for target in State:
            inputs = [given.value for given in Input if row[given] is target]
            if target is not state and inputs:
                label = "<br/>".join(inputs)
                lines.append(f"    {state.name} --> {target.name} : {label}")
    return "\n".join([*lines, "    ENDED --> [*]"])


def test_the_table_names_a_target_for_every_state_and_input() -> None:
    assert list(TRANSITIONS) == list(State)
    for row in TRANSITIONS.values():
        assert list(row) == list(Input)
        assert set(row.values()) <= set(State)


def test_nothing_leaves_the_ended_state() -> None:
    assert set(TRANSITIONS[State.ENDED].values()) == {State.ENDED}


def test_the_figure_in_the_docs_is_the_one_the_table_gives() -> None:
    drawn = re.findall(r"```mermaid\n(.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
    assert drawn == [diagram()], f"put this into {PAGE.name}:\n{diagram()}"


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [STARTED, START, KEY, StreamMedia(payload="AA=="), {"type": "?"}])
def test_the_first_message_makes_a_session_active(first: object) -> None:
    session = Session(now=0)
    assert session.state is State.NEW
    session = a_session(first)  # type: ignore[arg-type]
    assert session.state is State.ACTIVE


def test_a_message_that_is_no_object_makes_a_session_active_too() -> None:
    session = Session(now=0)
    assert hears(session, "[1]") == [InvalidMessage("[1]", "not_an_object")]
    assert session.state is State.ACTIVE


def test_a_session_shows_state_and_ids_in_its_repr() -> None:
    assert repr(a_session(STARTED, START)) == (
        "<Session active call_uuid='call-1' agent_session_id='session-1' stream_id='stream-1'>"
    )


def test_commands_are_taken_before_the_first_message() -> None:
    session = Session(now=0)
    session.speak("hello")
    assert texts(session) == [{"type": "agent_session.speak", "text": "hello"}]


# --- identity -------------------------------------------------------------------------------------


def test_the_start_of_a_stream_tells_ids_format_and_headers() -> None:
    session = a_session(
        StreamStart(
            stream_id="s",
            call_id="c",
            account_id="a",
            content_type="audio/x-l16",
            sample_rate=16000,
            extra_headers={"tenant": "42"},
        )
    )
    assert (session.stream_id, session.call_uuid, session.account_id) == ("s", "c", "a")
    assert session.media_format == MediaFormat("audio/x-l16", 16000)
    assert session.extra_headers == {"tenant": "42"}


def test_a_second_start_opens_a_new_stream_and_keeps_what_it_does_not_name() -> None:
    session = a_session(StreamStart(stream_id="s", call_id="c", account_id="a", content_type="x"))
    hears(session, StreamStart(stream_id="s-2", call_id="other"))
    assert (session.stream_id, session.call_uuid, session.account_id) == ("s-2", "c", "a")
    assert session.media_format == MediaFormat("x", 8000)


@pytest.mark.parametrize(
    ("name", "rate", "expected"),
    [
        ("pcm_16k", None, MediaFormat("audio/x-l16", 16000)),
        ("mulaw_8k", 8000, MediaFormat("audio/x-mulaw", 8000)),
        ("pcm_16k", 24000, MediaFormat("audio/x-l16", 24000)),
        ("opus", 48000, None),
        (None, None, None),
    ],
)
def test_a_raw_audio_agent_tells_its_format_by_name(
    name: str | None, rate: int | None, expected: MediaFormat | None
) -> None:
    session = a_session(AgentSessionStarted(audio_format=name, sample_rate=rate))
    assert session.media_format == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_a_raw_audio_agent_may_open_in_either_order(reverse: bool) -> None:
    opening = [
        AgentSessionStarted(agent_session_id="a", call_id="c", audio_format="pcm_16k"),
        StreamStart(stream_id="s", content_type="audio/x-mulaw"),
    ]
    session = a_session(*(reversed(opening) if reverse else opening))
    assert (session.agent_session_id, session.call_uuid, session.stream_id) == ("a", "c", "s")
    assert session.media_format == MediaFormat("audio/x-mulaw", 8000)


def test_an_agent_that_names_no_call_leaves_the_one_the_stream_named() -> None:
    session = a_session(START, AgentSessionStarted(agent_session_id="a"))
    assert session.call_uuid == "call-1"


# --- the end, applied lazily ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "last", "cause"),
    [(STARTED, ENDED_BY_AGENT, "session.ended"), (START, StreamStop(), "stop")],
)
def test_what_is_sent_in_response_to_the_last_message_still_leaves(
    opening: StreamStart, last: StreamStop, cause: str
) -> None:
    session = a_session(opening)
    session.receive_text(message(last), now=1)
    assert not session.finishing
    assert type(session.next_event()) is type(last)
    assert session.finishing
    assert session.state is State.ACTIVE
    session.speak("bye")
    assert session.closing is None

    assert session.next_event() is None
    assert not session.finishing
    assert session.state is State.ENDED
    with pytest.raises(SessionClosedError):
        session.speak("too late")
    assert session.closing is None  # not before the text is out
    assert names(texts(session)) == ["agent_session.speak"]
    assert session.closing == (1000, "")

    session.receive_close(1000, "", initiator="local", now=2)
    assert the_end(handed_out(session)) == Ended("remote", 1000, "", cause)
    assert is_over(session)


def test_messages_after_the_last_one_are_not_handed_out() -> None:
    session = a_session(STARTED)
    assert hears(session, ENDED_BY_AGENT, KEY) == [ENDED_BY_AGENT]
    assert hears(session, KEY, StreamMedia(), "{") == []


def test_nothing_expires_between_the_last_message_and_the_end() -> None:
    session = a_session(STARTED, ToolCall(id="t"))
    session.receive_text('{"type": "session.ended"}', now=29)
    assert session.next_event() is not None
    assert session.deadline() is None
    session.handle_timeout(now=60)
    assert session.finishing
    assert session.next_event() is None
    assert session.tool_calls.state("t") is ToolCallState.CANCELLED


def test_the_cause_is_the_first_reason_even_if_the_application_closes() -> None:
    session = a_session(STARTED)
    hears(session, KEY)
    session.receive_text('{"type": "session.ended"}', now=0)
    assert session.next_event() == AgentSessionEnded()
    session.close(4000, "thanks")
    assert session.closing == (4000, "thanks")
    session.receive_close(4000, "thanks", initiator="local", now=0)
    assert handed_out(session) == [Ended("remote", 4000, "thanks", "session.ended")]


def test_a_close_right_behind_the_last_message_does_not_hide_it() -> None:
    session = a_session(STARTED)
    session.receive_text('{"type": "session.ended"}', now=0)
    session.receive_close(1001, "gone", now=0)
    assert handed_out(session) == [
        AgentSessionEnded(),
        Ended("remote", 1001, "gone", "session.ended"),
    ]


# --- stop on an agent's connection ----------------------------------------------------------------


@pytest.mark.parametrize("started", [STARTED, AgentSessionStarted()])
def test_stop_waits_two_seconds_for_the_transcript(started: AgentSessionStarted) -> None:
    session = a_session(started, START)
    assert hears(session, StreamStop(), now=10) == [StreamStop()]
    assert session.state is State.ENDING
    assert session.deadline() == 12
    session.speak("goodbye")

    session.handle_timeout(now=11.9)
    assert session.state is State.ENDING
    session.handle_timeout(now=12)
    assert session.finishing
    assert session.deadline() is None
    session.inject("what the last handler says still leaves")
    assert session.next_event() is None
    assert session.state is State.ENDED
    assert names(texts(session)) == ["agent_session.speak", "agent_session.inject"]
    assert session.closing == (1000, "")
    session.receive_close(1000, now=13)
    assert the_end(handed_out(session)).cause == "stop"


def test_session_ended_within_the_grace_is_handed_out_and_is_the_cause() -> None:
    session = a_session(STARTED, START, StreamStop())
    assert hears(session, ENDED_BY_AGENT, now=1) == [ENDED_BY_AGENT]
    assert session.state is State.ENDED
    session.receive_close(1000, now=1)
    assert the_end(handed_out(session)).cause == "session.ended"


def test_during_the_grace_the_agent_is_heard_and_the_stream_is_not() -> None:
    session = a_session(STARTED, START, StreamStop())
    heard = hears(session, KEY, StreamMedia(), START, StreamStop(), {"type": "x"}, "{", now=1)
    assert heard == [KEY, UnknownEvent({"type": "x"}), InvalidMessage("{", "invalid_json")]
    assert session.state is State.ENDING
    assert session.deadline() == 2


def test_a_tool_call_in_the_grace_does_not_move_its_end() -> None:
    session = a_session(STARTED, ToolCall(id="early"), START, StreamStop())
    assert session.deadline() == 2
    session = a_session(STARTED, START)
    hears(session, ToolCall(id="early"), now=0)
    hears(session, StreamStop(), now=29)
    assert session.deadline() == 30  # the tool call's, which comes first


def test_a_peer_that_leaves_during_the_grace_was_ended_by_stop() -> None:
    session = a_session(STARTED, START, StreamStop())
    session.receive_close(1006, error=WebSocketError("lost"), now=1)
    assert the_end(handed_out(session)) == Ended("remote", 1006, "", "stop")


def test_stop_settles_what_the_stream_owed() -> None:
    session = a_session(STARTED, START)
    session.send_checkpoint("c")
    hears(session, StreamStop())
    assert session.playback.fate("c") is Fate.LOST


@pytest.mark.parametrize("started", [[], [STARTED]])
def test_a_stop_of_the_stream_before_ends_nothing(started: list[AgentSessionStarted]) -> None:
    session = a_session(*started, START, StreamStart(stream_id="stream-2"))
    session.send_checkpoint("c")
    assert hears(session, StreamStop(stream_id="stream-1"), KEY) == [KEY]
    assert session.state is State.ACTIVE
    assert session.deadline() is None
    assert session.playback.fate("c") is Fate.PENDING


@pytest.mark.parametrize("stream_id", ["", "stream-2"])
def test_a_stop_of_the_stream_there_is_ends_the_call(stream_id: str) -> None:
    session = a_session(START, StreamStart(stream_id="stream-2"))
    stop = StreamStop(stream_id=stream_id)
    assert hears(session, stop, KEY) == [stop]
    assert session.state is State.ENDED


def test_a_stop_that_names_a_stream_ends_one_without_a_name() -> None:
    session = a_session(StreamStart())
    hears(session, StreamStop(stream_id="stream-1"))
    assert session.state is State.ENDED


# --- closing and failing --------------------------------------------------------------------------


def test_close_flushes_what_is_queued_first() -> None:
    session = a_session(STARTED)
    session.speak("bye")
    session.close(4000, "done", now=3)
    session.close(4001, "again")
    assert session.closing is None
    assert session.stalled_since == 0
    texts(session)
    assert session.closing == (4000, "done")
    session.receive_close(4000, "done", initiator="local", now=3)
    assert handed_out(session) == [Ended("local", 4000, "done", "close")]


@pytest.mark.parametrize("end", [Session.close, lambda s, code: s.fail(code, "", PlivoError("x"))])
def test_codes_that_no_close_frame_carries_are_refused(
    end: Callable[[Session, int], None],
) -> None:
    session = a_session(STARTED)
    before = everything(session)
    with pytest.raises(LocalProtocolError):
        end(session, 1006)
    assert everything(session) == before


def test_a_failed_session_drops_its_output_and_tells_the_error_once() -> None:
    session, error = a_session(STARTED), RemoteProtocolError("rule broken")
    session.speak("unsent")
    session.fail(1008, "broken", error, now=1)
    session.fail(1011, "again", PlivoError("later"))
    assert session.state is State.ENDED
    assert texts(session) == []
    session.receive_close(1008, "broken", initiator="local", now=2)
    session.receive_close(1000, now=3)
    session.fail(1011, "much later", PlivoError("later"))
    assert handed_out(session) == [Ended("local", 1008, "broken", "error", error)]
    assert is_over(session)


def test_a_lost_transport_is_told_as_an_error() -> None:
    session, error = a_session(STARTED), WebSocketError("lost")
    session.speak("unsent")
    session.send_checkpoint("c")
    session.receive_close(error=error, initiator="local", now=0)
    assert handed_out(session) == [Ended("local", 1006, "", "error", error)]
    assert session.playback.fate("c") is Fate.LOST
    assert is_over(session)


def test_a_close_that_cannot_leave_counts_as_stalled() -> None:
    session = a_session(STARTED, now=1)
    assert session.stalled_since is None
    session.close(now=5)
    assert session.stalled_since == 5
    assert session.next_text() is None
    assert session.stalled_since is None


# --- ending the call, whatever kind it is ---------------------------------------------------------


@pytest.mark.parametrize("opening", [[STARTED], [AgentSessionStarted()], [START, STARTED]])
def test_an_agents_call_is_hung_up_once(opening: list[AgentSessionStarted]) -> None:
    session = a_session(*opening)
    session.speak("bye")
    session.end_call(now=5)
    session.end_call()
    assert session.state is State.ACTIVE
    assert names(texts(session)) == ["agent_session.speak", "agent_session.hangup"]
    assert session.closing is None
    assert session.now == 5


@pytest.mark.parametrize("opening", [[START], []])
def test_a_call_without_an_agent_is_closed_behind_what_is_queued(
    opening: list[StreamStart],
) -> None:
    session = a_session(*opening)
    session.send_media("AAAA")
    session.end_call(now=5)
    session.end_call()
    assert session.state is State.ENDED
    assert names(texts(session)) == ["playAudio"]
    assert session.closing == (1000, "")
    session.receive_close(1000, initiator="local", now=6)
    assert the_end(handed_out(session)) == Ended("local", 1000, "", "close")


def test_a_call_that_is_ending_is_not_ended_again() -> None:
    stopping = a_session(STARTED, START, StreamStop())
    finishing = a_session(STARTED)
    finishing.receive_text(message(ENDED_BY_AGENT), now=0)
    closed = a_session(STARTED)
    closed.close(4000, "bye")
    for session in (stopping, finishing, closed):
        before = everything(session)
        session.end_call()
        assert everything(session) == before


# --- invalid messages -----------------------------------------------------------------------------


def test_twenty_invalid_messages_in_ten_seconds_do_not_end_a_call() -> None:
    session = a_session(STARTED)
    assert len(hears(session, *["{"] * 20)) == 20
    assert hears(session, KEY, now=1) == [KEY]
    assert session.state is State.ACTIVE


def test_the_twenty_first_invalid_message_ends_the_call_with_1008() -> None:
    session = a_session(STARTED)
    hears(session, *["{"] * 20)
    assert len(hears(session, "{", KEY, now=10)) == 1  # told, and then silence
    assert session.closing is not None
    assert session.closing.code == 1008
    session.receive_close(1008, initiator="local", now=10)
    ended = the_end(handed_out(session))
    assert (ended.cause, ended.initiator) == ("error", "local")
    assert isinstance(ended.error, RemoteProtocolError)


def test_the_window_of_invalid_messages_slides() -> None:
    session = a_session(STARTED)
    for pair in range(100):  # 20 in any ten seconds, for ever
        hears(session, "{", "[]", now=pair * 1.01)
        assert session.state is State.ACTIVE, pair
    hears(session, "{", now=99 * 1.01)
    assert session.state is State.ENDED


def test_a_limit_of_no_invalid_messages_ends_the_call_at_the_first() -> None:
    session = a_session(STARTED, limits=Limits(max_invalid_messages=0))
    assert len(hears(session, "{")) == 1
    assert session.state is State.ENDED


# --- every input in every state -------------------------------------------------------------------


def finishing() -> Session:
    session = a_session(STARTED, START)
    session.receive_text('{"type": "session.ended"}', now=0)
    assert session.next_event() is not None
    return session


def closing() -> Session:
    session = a_session(STARTED, START, ToolCall(id="t"))
    session.speak("last words")
    session.close(now=0)
    return session


def over() -> Session:
    session = a_session(STARTED, START)
    session.receive_close(now=0)
    handed_out(session)
    return session


def busy() -> Session:
    session = a_session(STARTED, START, ToolCall(id="t"), ToolCall(id="answered"))
    session.send_tool_result("answered", 1)
    session.send_media("AAAA")
    session.send_checkpoint("c")
    return session


STATES: dict[str, Callable[[], Session]] = {
    "new": lambda: Session(now=0),
    "active": lambda: a_session(STARTED),
    "busy": busy,
    "ending": lambda: a_session(STARTED, START, StreamStop()),
    "finishing": finishing,
    "closing": closing,
    "over": over,
}
CYCLE: list[object] = []
CYCLE.append(CYCLE)
INPUTS: dict[str, Callable[[Session], object]] = {
    "text": lambda s: s.receive_text('{"type": "user.dtmf"}', now=1),
    "tool call": lambda s: s.receive_text('{"type": "tool.called", "id": "t"}', now=1),
    "bytes": lambda s: s.receive_text(b"\xff", now=1),
    "session.ended": lambda s: s.receive_text('{"type": "session.ended"}', now=1),
    "stop": lambda s: s.receive_text('{"event": "stop"}', now=1),
    "start": lambda s: s.receive_text('{"event": "start", "streamId": "s-2"}', now=1),
    "close of the peer": lambda s: s.receive_close(1001, "", now=1),
    "timeout": lambda s: s.handle_timeout(now=100),
    "early timeout": lambda s: s.handle_timeout(now=1),
    "close": lambda s: s.close(now=1),
    "close with a bad code": lambda s: s.close(1005, now=1),
    "fail": lambda s: s.fail(1011, "", PlivoError("x"), now=1),
    "speak": lambda s: s.send(Speak("hi"), now=1),
    "answer": lambda s: s.send(ToolResult("t", 1)),
    "second answer": lambda s: s.send(ToolResult("answered", 1)),
    "checkpoint": lambda s: s.send(Checkpoint("c")),
    "clear": lambda s: s.send(ClearAudio()),
    "no JSON": lambda s: s.send(RawCommand({"x": object()})),
    "a cycle": lambda s: s.send(ToolResult("t", CYCLE)),
    "no command": lambda s: s.send("speak"),  # type: ignore[arg-type]
    "next_event": Session.next_event,
    "next_text": Session.next_text,
    "deadline": Session.deadline,
    "looks": lambda s: (s.closing, s.finishing, s.state, s.stalled_since, s.output, repr(s)),
}
REFUSED = {
    "new": {"close with a bad code", "no JSON", "a cycle", "no command"},
    "active": {"close with a bad code", "no JSON", "a cycle", "no command"},
    "busy": {
        *("close with a bad code", "no JSON", "a cycle", "no command"),
        *("second answer", "checkpoint"),
    },
    "ending": {"close with a bad code", "no JSON", "a cycle", "no command"},
    "finishing": {"close with a bad code", "no JSON", "a cycle", "no command"},
    "closing": {"close with a bad code"},
    "over": {"close with a bad code"},
}
CLOSED = {"speak", "answer", "second answer", "checkpoint", "clear"} | {
    *("no JSON", "a cycle", "no command"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("given", INPUTS)
def test_every_input_in_every_state_works_or_is_refused_as_documented(
    state: str, given: str
) -> None:
    session = STATES[state]()
    before = everything(session)
    try:
        INPUTS[given](session)
    except SessionClosedError:
        assert state in ("closing", "over")
        assert given in CLOSED
        assert everything(session) == before
    except LocalProtocolError:
        assert given in REFUSED[state]
        assert everything(session) == before
    else:
        assert given not in REFUSED[state]
        assert state not in ("closing", "over") or given not in CLOSED
    was_told = state == "over"
    session.receive_close(now=200)
    events = handed_out(session)
    assert [type(event) for event in events if isinstance(event, Ended)] == [Ended] * (not was_told)
    assert was_told or isinstance(events[-1], Ended)
    assert is_over(session)


@pytest.mark.parametrize("given", INPUTS)
def test_nothing_wakes_a_session_that_is_over(given: str) -> None:
    session = over()
    before = everything(session)
    try:
        INPUTS[given](session)
    except (SessionClosedError, LocalProtocolError):
        pass
    assert is_over(session)
    assert everything(session) == before


@settings(max_examples=60)
@given(messages=st.lists(hostile_messages().filter(lambda m: not isinstance(m, dict)), max_size=8))
def test_hostile_messages_give_events_and_never_raise(messages: list[str | bytes]) -> None:
    session = Session(now=0)
    for each in messages:
        session.receive_text(each, now=0)
        handed_out(session)
    session.receive_close(now=0)
    the_end(handed_out(session))


@settings(max_examples=60)
@given(given=st.lists(commands(), max_size=8))
def test_any_command_is_queued_or_refused_without_a_trace(given: list[Command]) -> None:
    session = a_session(STARTED, START)
    sent = 0
    for command in given:
        before = everything(session)
        try:
            session.send(command)
            sent += 1
        except LocalProtocolError:
            assert everything(session) == before
    # A clear drops audio that is unsent; all else leaves.
    assert len(texts(session)) <= sent
    if not any(isinstance(command, ClearAudio | RawCommand) for command in given):
        assert session.output.dropped_messages == 0
        assert not session.output


def test_a_full_queue_raises_and_ends_the_call() -> None:
    session = a_session(STARTED, limits=Limits(control_buffer=100))
    session.speak("x")
    with pytest.raises(SendQueueFull):
        session.speak("x" * 100)
    assert session.state is State.ENDED
    assert session.closing == (1008, "output queue full")
    with pytest.raises(SessionClosedError):
        session.speak("x")
    session.receive_close(1008, "output queue full", initiator="local", now=0)
    ended = the_end(handed_out(session))
    assert ended.cause == "error"
    assert isinstance(ended.error, SendQueueFull)


def test_what_is_not_a_command_is_named_in_the_error() -> None:
    with pytest.raises(InvalidCommandError, match="not a command"):
        Session(now=0).send({"type": "text"})  # type: ignore[arg-type]


def test_late_acknowledgements_of_an_earlier_stream_are_inert() -> None:
    session = a_session(StreamStart(stream_id="one"))
    session.send_checkpoint("a")
    hears(session, StreamStart(stream_id="two"))
    session.send_checkpoint("a")
    # The first one was for a stream that is over; this one leaves: a clear does not settle it.
    assert [sent["streamId"] for sent in texts(session)] == ["two"]
    session.clear_audio()
    late = [PlayedStream(name="a", stream_id="one"), ClearedAudio(stream_id="one")]
    assert hears(session, *late) == late
    assert session.playback.fate("a") is Fate.PENDING
    hears(session, PlayedStream(name="a", stream_id="two"))
    assert session.playback.fate("a") is Fate.PLAYED
