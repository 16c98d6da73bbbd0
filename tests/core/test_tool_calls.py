"""Tool calls: each tracked id ends exactly once, as a result, an error, expired or cancelled."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from plivo_core import (
    Event,
    Limits,
    LocalProtocolError,
    Session,
    SessionClosedError,
    Timings,
    ToolCallExpired,
)
from plivo_core.events import AgentSessionEnded, ToolCall
from plivo_core.session import ToolCallState
from tests.core.calls import STARTED, a_session, everything, handed_out, hears, texts


def the_model_calls(session: Session, id: str, name: str = "lookup", now: float = 0) -> list[Event]:
    return hears(session, ToolCall(id=id, name=name), now=now)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (lambda s: s.send_tool_result("t", None), ToolCallState.RESULT),
        (lambda s: s.send_tool_error("t", "no"), ToolCallState.ERROR),
        (lambda s: s.send_raw({"type": "tool.result", "id": "t", "result": 1}), "result"),
        (lambda s: s.send_raw({"event": "tool.error", "id": "t", "error": "no"}), "error"),
    ],
)
def test_an_answer_ends_a_tool_call_and_a_second_one_raises(answer: object, state: object) -> None:
    assert callable(answer)
    session = a_session(STARTED)
    the_model_calls(session, "t")
    assert session.tool_calls.pending == ("t",)
    assert session.tool_calls.state("t") is ToolCallState.PENDING

    answer(session)
    assert session.tool_calls.pending == ()
    assert session.tool_calls.state("t") is ToolCallState(state)
    assert session.deadline() is None
    before = everything(session)
    with pytest.raises(LocalProtocolError, match=r"already answered with tool\."):
        answer(session)
    with pytest.raises(LocalProtocolError):
        session.send_tool_error("t", "again")
    assert everything(session) == before
    assert len(texts(session)) == 1


def test_an_unanswered_tool_call_expires_after_thirty_seconds() -> None:
    session = a_session(STARTED)
    the_model_calls(session, "a", "first", now=5)
    the_model_calls(session, "b", "second", now=6)
    assert session.deadline() == 35
    session.handle_timeout(now=34.9)
    assert handed_out(session) == []
    session.handle_timeout(now=35)
    assert handed_out(session) == [ToolCallExpired("a", "first")]
    assert session.deadline() == 36
    session.handle_timeout(now=100)
    assert handed_out(session) == [ToolCallExpired("b", "second")]
    assert session.tool_calls.state("a") is ToolCallState.EXPIRED
    assert session.deadline() is None


def test_one_late_answer_leaves_after_the_expiry_and_a_second_raises() -> None:
    session = a_session(STARTED, timings=Timings(tool_call=1))
    the_model_calls(session, "t")
    session.handle_timeout(now=1)
    session.send_tool_result("t", "late")
    assert session.tool_calls.state("t") is ToolCallState.RESULT
    with pytest.raises(LocalProtocolError):
        session.send_tool_result("t", "later")
    assert texts(session) == [{"type": "tool.result", "id": "t", "result": "late"}]


def test_the_end_cancels_what_is_pending() -> None:
    session = a_session(STARTED)
    the_model_calls(session, "open")
    the_model_calls(session, "done")
    session.send_tool_result("done", 1)
    hears(session, AgentSessionEnded())
    assert session.tool_calls.state("open") is ToolCallState.CANCELLED
    assert session.tool_calls.state("done") is ToolCallState.RESULT
    with pytest.raises(SessionClosedError):
        session.send_tool_result("open", 1)


def test_an_id_that_was_never_called_is_sent_and_not_tracked() -> None:
    session = a_session(STARTED)
    session.send_tool_result("unknown", 1)
    session.send_tool_error("unknown", "twice")
    assert session.tool_calls.state("unknown") is None
    assert len(texts(session)) == 2


@pytest.mark.parametrize("id", ["", "x" * 257])
def test_ids_that_are_empty_or_too_long_are_handed_out_and_not_tracked(id: str) -> None:
    session = a_session(STARTED)
    assert the_model_calls(session, id) == [ToolCall(id=id, name="lookup")]
    assert session.tool_calls.state(id) is None
    assert session.deadline() is None
    session.send_tool_result(id, 1)
    session.send_tool_result(id, 1)
    assert len(texts(session)) == 2


def test_an_id_of_256_characters_is_tracked() -> None:
    session = a_session(STARTED)
    the_model_calls(session, "x" * 256)
    assert session.tool_calls.pending == ("x" * 256,)


def test_a_call_that_is_told_again_while_pending_is_handed_out_once() -> None:
    session = a_session(STARTED)
    assert the_model_calls(session, "t", now=0) == [ToolCall(id="t", name="lookup")]
    assert the_model_calls(session, "t", now=10) == []
    assert session.tool_calls.pending == ("t",)
    assert session.deadline() == 30
    assert session.tool_calls.repeated == 1


@pytest.mark.parametrize("state", [ToolCallState.RESULT, ToolCallState.ERROR])
def test_a_call_that_is_told_again_after_its_answer_stays_answered(state: ToolCallState) -> None:
    session = a_session(STARTED)
    the_model_calls(session, "t")
    if state is ToolCallState.RESULT:
        session.send_tool_result("t", 1)
    else:
        session.send_tool_error("t", "no")
    assert the_model_calls(session, "t", now=1) == []
    assert session.tool_calls.state("t") is state
    assert session.deadline() is None
    with pytest.raises(LocalProtocolError, match="already answered"):
        session.send_tool_error("t", "again")
    assert len(texts(session)) == 1


def test_a_call_that_is_told_again_after_it_expired_stays_expired() -> None:
    session = a_session(STARTED, timings=Timings(tool_call=1))
    the_model_calls(session, "t")
    session.handle_timeout(now=1)
    assert handed_out(session) == [ToolCallExpired("t", "lookup")]
    assert the_model_calls(session, "t", now=2) == []
    assert session.tool_calls.state("t") is ToolCallState.EXPIRED
    assert session.deadline() is None
    session.send_tool_result("t", "late")  # the one late answer
    assert len(texts(session)) == 1


def test_an_id_that_is_forgotten_can_be_called_again() -> None:
    session = a_session(STARTED, limits=Limits(max_tool_calls=1))
    for id in "ab":
        the_model_calls(session, id)
        session.send_tool_result(id, 1)
    assert the_model_calls(session, "b") == []
    assert the_model_calls(session, "a") == [ToolCall(id="a", name="lookup")]
    assert session.tool_calls.repeated == 1


@pytest.mark.parametrize("id", ["", "x" * 257])
def test_what_is_not_tracked_is_handed_out_each_time(id: str) -> None:
    session = a_session(STARTED)
    for _ in range(2):
        assert the_model_calls(session, id) == [ToolCall(id=id, name="lookup")]
    assert session.tool_calls.repeated == 0


def test_over_the_cap_the_oldest_expires_in_front_of_the_new_one() -> None:
    session = a_session(STARTED, limits=Limits(max_tool_calls=2))
    the_model_calls(session, "a", "first")
    the_model_calls(session, "b")
    assert the_model_calls(session, "c") == [
        ToolCallExpired("a", "first"),
        ToolCall(id="c", name="lookup"),
    ]
    assert session.tool_calls.pending == ("b", "c")


def test_the_memory_of_ended_calls_is_bounded() -> None:
    session = a_session(STARTED, limits=Limits(max_tool_calls=2))
    for id in "abc":
        the_model_calls(session, id)
        session.send_tool_result(id, 1)
    assert [session.tool_calls.state(id) for id in "abc"] == [
        None,
        ToolCallState.RESULT,
        ToolCallState.RESULT,
    ]


def test_a_limit_of_no_tool_calls_tracks_none() -> None:
    session = a_session(STARTED, limits=Limits(max_tool_calls=0))
    assert the_model_calls(session, "t") == [ToolCall(id="t", name="lookup")]
    session.send_tool_result("t", 1)
    assert session.tool_calls.pending == ()


class ToolCallMachine(RuleBasedStateMachine):
    """Against a model: a dict of states, and a count of ends per call."""

    ids = st.sampled_from(["a", "b", "c", "d", "e"])

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.session = a_session(STARTED)
        self.expected: dict[str, ToolCallState] = {}
        self.since: dict[str, float] = {}

    @rule(id=ids)
    def the_model_calls(self, id: str) -> None:
        told = the_model_calls(self.session, id, now=self.now)
        assert told == ([] if id in self.expected else [ToolCall(id=id, name="lookup")])
        if id not in self.expected:
            self.expected[id], self.since[id] = ToolCallState.PENDING, self.now

    @rule(id=ids, error=st.booleans())
    def the_application_answers(self, id: str, error: bool) -> None:
        answered = self.expected.get(id) in (ToolCallState.RESULT, ToolCallState.ERROR)
        try:
            if error:
                self.session.send_tool_error(id, "no")
            else:
                self.session.send_tool_result(id, 1)
        except LocalProtocolError:
            assert answered
        else:
            assert not answered
            if id in self.expected:
                self.expected[id] = ToolCallState.ERROR if error else ToolCallState.RESULT

    @rule(seconds=st.sampled_from([0.5, 10, 31]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.session.handle_timeout(now=self.now)
        expired = {e.id for e in handed_out(self.session) if isinstance(e, ToolCallExpired)}
        due = {
            id
            for id, state in self.expected.items()
            if state is ToolCallState.PENDING and self.now - self.since[id] >= 30
        }
        assert expired == due
        self.expected.update(dict.fromkeys(due, ToolCallState.EXPIRED))

    @invariant()
    def states_are_as_expected(self) -> None:
        tool_calls = self.session.tool_calls
        assert {id: tool_calls.state(id) for id in self.expected} == self.expected
        pending = [i for i, state in self.expected.items() if state is ToolCallState.PENDING]
        assert set(tool_calls.pending) == set(pending)
        due = [self.since[id] + 30 for id in pending]
        assert self.session.deadline() == min(due, default=None)

    def teardown(self) -> None:
        self.session.receive_close(now=self.now)
        assert self.session.tool_calls.pending == ()
        for id, state in self.expected.items():
            final = ToolCallState.CANCELLED if state is ToolCallState.PENDING else state
            assert self.session.tool_calls.state(id) is final


TestToolCallMachine = ToolCallMachine.TestCase
TestToolCallMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
