"""Checkpoints: played, cleared or lost, each exactly once."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from plivo_core import Ended, Fate, Limits, LocalProtocolError, PlaybackLedger, Session
from plivo_core.events import ClearedAudio, PlayedStream, StreamStart, StreamStop
from tests.core.calls import START, a_session, everything, handed_out, hears, texts


def a_ledger(**limits: int) -> PlaybackLedger:
    return PlaybackLedger(Limits(**limits))


# --- through a session ----------------------------------------------------------------------------


def test_a_checkpoint_is_played_when_the_platform_says_so() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    session.send_checkpoint("b")
    assert session.playback.pending == ("a", "b")
    hears(session, PlayedStream(name="a"))
    assert session.playback.fate("a") is Fate.PLAYED
    assert session.playback.pending == ("b",)


def test_acknowledgements_that_are_late_repeated_or_unknown_are_inert() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    hears(session, PlayedStream(name="a"), ClearedAudio(), PlayedStream(name="a"))
    hears(session, PlayedStream(name="never"), PlayedStream())
    assert session.playback.fate("a") is Fate.PLAYED
    assert session.playback.fate("never") is None


def test_cleared_audio_settles_what_preceded_its_command() -> None:
    session = a_session(START)
    session.send_checkpoint("before")
    texts(session)
    session.clear_audio()
    session.send_checkpoint("after")
    assert session.playback.fate("before") is Fate.PENDING
    hears(session, ClearedAudio())
    assert session.playback.fate("before") is Fate.CLEARED
    assert session.playback.fate("after") is Fate.PENDING


def test_a_played_stream_that_crosses_the_clear_wins() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    texts(session)
    session.clear_audio()
    hears(session, PlayedStream(name="a"), ClearedAudio())
    assert session.playback.fate("a") is Fate.PLAYED


def test_cleared_audio_that_nobody_asked_for_settles_all() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    session.clear_audio()
    session.send_checkpoint("b")
    hears(session, ClearedAudio())
    hears(session, ClearedAudio())
    assert session.playback.fate("b") is Fate.CLEARED


def test_two_clears_are_answered_in_order() -> None:
    session = a_session(START)
    for name in ("a", "b"):
        session.send_checkpoint(name)
        texts(session)
        session.clear_audio()
    hears(session, ClearedAudio())
    assert [session.playback.fate(name) for name in "ab"] == [Fate.CLEARED, Fate.PENDING]
    hears(session, ClearedAudio())
    assert session.playback.fate("b") is Fate.CLEARED


@pytest.mark.parametrize("end", [StreamStop(), StreamStart(stream_id="stream-2")])
def test_the_end_of_the_stream_loses_the_rest(end: StreamStop) -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    hears(session, end)
    assert session.playback.fate("a") is Fate.LOST
    assert session.playback.pending == ()


def test_a_checkpoint_queued_before_the_first_start_survives_it() -> None:
    session = Session(now=0)
    session.send_checkpoint("early")
    hears(session, START)
    assert session.playback.fate("early") is Fate.PENDING


def test_the_end_of_the_call_loses_the_rest() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    session.receive_close(now=0)
    assert isinstance(handed_out(session)[-1], Ended)
    assert session.playback.fate("a") is Fate.LOST


def test_a_pending_name_cannot_be_reused_and_a_settled_one_can() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    before = everything(session)
    with pytest.raises(LocalProtocolError, match="still pending"):
        session.send_checkpoint("a")
    with pytest.raises(LocalProtocolError):
        session.send_raw({"event": "checkpoint", "streamId": "", "name": "a"})
    assert everything(session) == before
    hears(session, PlayedStream(name="a"))
    session.send_checkpoint("a")
    assert session.playback.fate("a") is Fate.PENDING


def test_one_checkpoint_more_than_the_limit_raises() -> None:
    session = a_session(START, limits=Limits(max_checkpoints=2))
    session.send_checkpoint("a")
    session.send_checkpoint("b")
    before = everything(session)
    with pytest.raises(LocalProtocolError, match="2 checkpoints are pending"):
        session.send_checkpoint("c")
    assert everything(session) == before
    hears(session, PlayedStream(name="a"))
    session.send_checkpoint("c")


def test_the_memory_of_fates_and_of_unanswered_clears_is_bounded() -> None:
    ledger = a_ledger(max_checkpoints=2)
    for name in "abc":
        ledger.sent(name)
        ledger.clear_sent()
        ledger.played(name)
    assert [ledger.fate(name) for name in "abc"] == [None, Fate.PLAYED, Fate.PLAYED]
    assert all(len(held) <= 2 for held in everything(ledger).values() if isinstance(held, list))


# --- any order of acknowledgements ----------------------------------------------------------------

_names = st.sampled_from("abc")
_acks = st.one_of(
    st.tuples(st.sampled_from(["sent", "played", "dropped"]), _names),
    st.sampled_from([("clear_sent",), ("cleared",), ("stream_ended",)]),
)


@given(st.lists(_acks, max_size=40))
def test_whatever_arrives_each_checkpoint_ends_once(steps: list[tuple[str, ...]]) -> None:
    ledger = a_ledger(max_checkpoints=3)
    open_names: set[str] = set()
    ended: dict[str, Fate | None] = {}
    for method, *arguments in steps:
        if method == "sent":
            if arguments[0] in open_names:
                continue
            open_names.add(arguments[0])
            ended.pop(arguments[0], None)
        getattr(ledger, method)(*arguments)
        assert set(ledger.pending) <= open_names  # nothing reopens by itself
        for name in open_names - set(ledger.pending):
            assert ledger.fate(name) in (Fate.PLAYED, Fate.CLEARED, Fate.LOST)
            ended[name] = ledger.fate(name)
        open_names = set(ledger.pending)
        assert all(ledger.fate(name) is fate for name, fate in ended.items())
    ledger.stream_ended()
    assert ledger.pending == ()


class PlayoutMachine(RuleBasedStateMachine):
    """An application and a platform with a queue; what each says travels for a while.

    The ledger must end up with what really happened to each checkpoint.
    """

    @initialize()
    def answer_the_call(self) -> None:
        self.session = a_session(START)
        self.names = 0
        self.to_platform: deque[str] = deque()  # checkpoint names; "" is clearAudio
        self.queue: list[str] = []
        self.to_us: deque[PlayedStream | ClearedAudio] = deque()
        self.truth: dict[str, Fate] = {}
        self.known: dict[str, Fate] = {}

    def _collect(self) -> None:
        for sent in texts(self.session):
            self.to_platform.append("" if sent["event"] == "clearAudio" else sent["name"])

    @rule()
    def send_a_checkpoint(self) -> None:
        self.names += 1
        self.session.send_checkpoint(f"c{self.names}")
        self._collect()

    @rule()
    def clear_the_audio(self) -> None:
        self.session.clear_audio()
        self._collect()

    @rule()
    def send_a_checkpoint_and_clear_it_before_it_left(self) -> None:
        self.names += 1
        self.session.send_checkpoint(f"c{self.names}")
        self.session.clear_audio()
        self.truth[f"c{self.names}"] = Fate.CLEARED
        self._collect()

    @precondition(lambda self: self.to_platform)
    @rule()
    def the_platform_reads(self) -> None:
        if name := self.to_platform.popleft():
            self.queue.append(name)
        else:
            self.truth.update(dict.fromkeys(self.queue, Fate.CLEARED))
            self.queue.clear()
            self.to_us.append(ClearedAudio())

    @precondition(lambda self: self.queue)
    @rule()
    def the_platform_plays(self) -> None:
        name = self.queue.pop(0)
        self.truth[name] = Fate.PLAYED
        self.to_us.append(PlayedStream(name=name))

    @precondition(lambda self: self.to_us)
    @rule()
    def we_read(self) -> None:
        hears(self.session, self.to_us.popleft())
        self._check()

    def _check(self) -> None:
        for number in range(1, self.names + 1):
            name = f"c{number}"
            fate = self.session.playback.fate(name)
            assert fate is not None
            if fate is not Fate.PENDING:
                assert self.known.setdefault(name, fate) is fate
                assert self.truth.get(name, Fate.LOST) is fate

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        while self.to_us:
            self.we_read()
        unsettled = set(self.to_platform) | set(self.queue)
        hears(self.session, StreamStop())
        assert self.session.playback.pending == ()
        for number in range(1, self.names + 1):
            fate = self.session.playback.fate(f"c{number}")
            assert fate is self.truth.get(f"c{number}", Fate.LOST)
            assert (fate is Fate.LOST) == (f"c{number}" in unsettled)


TestPlayoutMachine = PlayoutMachine.TestCase
TestPlayoutMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
