"""Checkpoints: played, cleared or lost, each exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    texts(session)
    hears(session, PlayedStream(name="a"))
    assert session.playback.fate("a") is Fate.PLAYED
    assert session.playback.pending == ("b",)


def test_acknowledgements_that_are_late_repeated_or_unknown_are_inert() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    texts(session)
    hears(session, PlayedStream(name="a"), ClearedAudio(), PlayedStream(name="a"))
    hears(session, PlayedStream(name="never"), PlayedStream())
    assert session.playback.fate("a") is Fate.PLAYED
    assert session.playback.fate("never") is None


@pytest.mark.parametrize("openings", [[], [StreamStart()]])
def test_acknowledgements_count_where_the_stream_has_no_known_id(
    openings: list[StreamStart],
) -> None:
    session = a_session(*openings)
    session.send_checkpoint("a")
    session.send_checkpoint("b")
    texts(session)
    hears(session, PlayedStream(name="a", stream_id="s"), ClearedAudio(stream_id="s"))
    assert [session.playback.fate(name) for name in "ab"] == [Fate.PLAYED, Fate.CLEARED]


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
    texts(session)
    session.clear_audio()
    session.send_checkpoint("b")
    texts(session)
    session.send_checkpoint("not even sent")
    hears(session, ClearedAudio())
    assert session.playback.fate("b") is Fate.PENDING
    hears(session, ClearedAudio())
    assert session.playback.fate("b") is Fate.CLEARED
    assert session.playback.fate("not even sent") is Fate.PENDING


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


@pytest.mark.parametrize("stream_id", ["stream-1", "stream-2"])
def test_a_clear_that_a_second_start_overtakes_is_answered_for_its_own_stream(
    stream_id: str,
) -> None:
    session = a_session(START)
    session.clear_audio()
    hears(session, StreamStart(stream_id=stream_id))
    texts(session)  # only now does it leave, for the first stream
    hears(session, ClearedAudio(stream_id="stream-1"))
    session.send_checkpoint("a")
    texts(session)
    session.clear_audio()
    texts(session)
    assert session.playback.fate("a") is Fate.PENDING
    hears(session, ClearedAudio(stream_id=stream_id))
    assert session.playback.fate("a") is Fate.CLEARED


NO_STREAM = [{}, {"streamId": None}]


@pytest.mark.parametrize("stream", NO_STREAM)
def test_a_raw_checkpoint_without_a_stream_is_tracked_and_leaves_as_it_is(
    stream: dict[str, object],
) -> None:
    session = a_session(START)
    session.send_media("AAAA")
    raw: dict[str, object] = {"event": "checkpoint", "name": "a", **stream}
    session.send_raw(raw)
    assert session.playback.fate("a") is Fate.PENDING
    with pytest.raises(LocalProtocolError, match="still pending"):
        session.send_raw(raw)
    assert texts(session)[1:] == [raw]  # behind the audio
    hears(session, PlayedStream(name="a", stream_id="stream-1"))
    assert session.playback.fate("a") is Fate.PLAYED


@pytest.mark.parametrize("stream", NO_STREAM)
def test_a_raw_clear_without_a_stream_drops_and_clears(stream: dict[str, object]) -> None:
    session = a_session(START)
    session.send_checkpoint("sent")
    texts(session)
    session.send_media("AAAA")
    session.send_checkpoint("unsent")
    raw: dict[str, object] = {"event": "clearAudio", **stream}
    session.send_raw(raw)
    assert session.playback.clear_waits
    assert session.playback.fate("unsent") is Fate.CLEARED
    assert texts(session) == [raw]
    hears(session, ClearedAudio(stream_id="stream-1"))
    assert session.playback.fate("sent") is Fate.CLEARED


@pytest.mark.parametrize("raw", [{"event": "checkpoint"}, {"event": "checkpoint", "name": 1}])
def test_a_raw_checkpoint_without_a_name_is_only_sent(raw: dict[str, object]) -> None:
    session = a_session(START)
    session.send_raw(raw)
    assert session.playback.pending == ()
    assert texts(session) == [raw]


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
    texts(session)
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
    texts(session)
    hears(session, PlayedStream(name="a"))
    session.send_checkpoint("c")


def test_an_echo_of_a_name_that_has_not_left_again_is_inert() -> None:
    session = a_session(START)
    session.send_checkpoint("a")
    texts(session)
    session.clear_audio()
    texts(session)
    hears(session, ClearedAudio())
    session.send_checkpoint("a")
    hears(session, PlayedStream(name="a"))  # of the first one, that crossed the clear
    assert session.playback.fate("a") is Fate.PENDING


def test_the_memory_of_fates_and_of_unanswered_clears_is_bounded() -> None:
    ledger = a_ledger(max_checkpoints=2)
    for name in "abc":
        ledger.sent(20, now=0)
        ledger.checkpoint_queued(name)
        ledger.checkpoint_sent(name)
        ledger.clear_queued()
        ledger.clear_sent(now=0)
        ledger.played(name, now=0)
    assert [ledger.fate(name) for name in "abc"] == [None, Fate.PLAYED, Fate.PLAYED]
    assert all(len(held) <= 2 for held in everything(ledger).values() if isinstance(held, list))
    for number in range(10):
        ledger.sent(20, now=number)
        ledger.clear_sent(now=number)
    # The oldest count as answered.
    assert (ledger.clearing_ms, ledger.cleared_ms) == (pytest.approx(40), pytest.approx(160))


# --- any order of acknowledgements ----------------------------------------------------------------

_names = st.sampled_from("abc")
_named = ["checkpoint_queued", "checkpoint_sent", "checkpoint_dropped", "played"]
_acks = st.one_of(
    st.tuples(st.sampled_from(_named), _names),
    st.tuples(st.just("sent"), st.sampled_from([0.125, 20, 1000])),
    st.tuples(st.just("tick"), st.sampled_from([0.01, 0.5, 3])),
    st.sampled_from([("clear_queued",), ("clear_sent",), ("cleared",)]),
    st.sampled_from([("stream_ended",), ("stream_began",)]),
)
_TIMED = ("sent", "clear_sent", "cleared", "played", "stream_ended", "stream_began")


def check_totals(ledger: PlaybackLedger, now: float) -> None:
    """What holds at any time, whatever the platform says."""
    heard, buffered = ledger.heard_ms(now), ledger.buffered_ms(now)
    settled = ledger.clearing_ms + ledger.cleared_ms + ledger.lost_ms
    assert ledger.sent_ms == pytest.approx(heard + buffered + settled)
    assert -1e-6 <= ledger.proven_ms <= heard + 1e-6
    assert heard <= ledger.sent_ms + 1e-6
    assert min(buffered, ledger.clearing_ms, ledger.cleared_ms, ledger.lost_ms) >= -1e-6
    assert ledger.unheard_ms(now) == pytest.approx(buffered + ledger.queued_ms)
    assert ledger.expected_ms == pytest.approx(heard + ledger.unheard_ms(now))


@given(st.lists(_acks, max_size=40))
def test_whatever_arrives_each_checkpoint_ends_once(steps: list[tuple[Any, ...]]) -> None:
    ledger, now, heard, earlier = a_ledger(max_checkpoints=3), 0.0, 0.0, 0.0
    open_names: set[str] = set()
    ended: dict[str, Fate | None] = {}
    for method, *arguments in steps:
        if method == "tick":
            now += arguments[0]
            continue
        if method == "checkpoint_queued":
            if arguments[0] in open_names:
                continue
            open_names.add(arguments[0])
            ended.pop(arguments[0], None)
        timed = {"now": now} if method in _TIMED else {}
        getattr(ledger, method)(*arguments, **timed)
        check_totals(ledger, now)
        if method == "stream_began":
            assert ledger.earlier_ms >= earlier + heard - 1e-6
            heard, earlier = 0.0, ledger.earlier_ms
        assert ledger.earlier_ms == earlier
        assert heard - 1e-6 <= ledger.heard_ms(now)  # what was heard stays heard
        heard = ledger.heard_ms(now)
        assert set(ledger.pending) <= open_names  # nothing reopens by itself
        for name in open_names - set(ledger.pending):
            assert ledger.fate(name) in (Fate.PLAYED, Fate.CLEARED, Fate.LOST)
            ended[name] = ledger.fate(name)
        open_names = set(ledger.pending)
        assert all(ledger.fate(name) is fate for name, fate in ended.items())
    ledger.stream_ended(now=now)
    assert ledger.pending == ()
    assert ledger.buffered_ms(now) == 0
    check_totals(ledger, now)
