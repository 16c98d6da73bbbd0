"""The simulated platform's playback queue: what was heard, what was not, and where silence was."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core.platform import Gap, PlaybackQueue


def a_queue(*frames: float, now: float = 0.0) -> PlaybackQueue:
    queue = PlaybackQueue()
    for ms in frames:
        queue.put(ms, now=now)
    return queue


def adds_up(queue: PlaybackQueue, now: float) -> bool:
    parts = (queue.heard_ms(now), queue.lead_ms(now), queue.cleared_ms, queue.overflowed_ms)
    return min(parts) >= 0 and queue.put_ms == pytest.approx(sum(parts))


# --- playing --------------------------------------------------------------------------------------


def test_audio_is_heard_as_time_passes() -> None:
    queue = a_queue(20, 20, now=10)
    assert queue.plays_until == 10.04
    assert (queue.lead_ms(10), queue.heard_ms(10)) == (40, 0)
    assert queue.lead_ms(10.01) == pytest.approx(30)
    assert queue.heard_ms(10.01) == pytest.approx(10)
    assert (queue.lead_ms(11), queue.heard_ms(11)) == (0, 40)


def test_an_unused_queue_is_empty_at_any_time() -> None:
    queue = a_queue()
    for now in (-1000.0, 0.0, 1000.0):
        assert queue.lead_ms(now) == queue.heard_ms(now) == queue.frames_heard(now) == 0
        assert queue.plays_until < now
        assert queue.clear(now=now) == 0
        assert queue.plays_until == now
    assert (queue.gaps, queue.gap_ms, list(queue.leads)) == ([], 0, [])


def test_the_clock_may_start_below_zero() -> None:
    queue = a_queue(20, now=-1000)
    assert queue.lead_ms(-1000) == 20
    assert queue.plays_until == -999.98


def test_a_frame_counts_as_heard_from_its_first_part_on() -> None:
    queue = a_queue(20, 20, 20)
    assert [queue.frames_heard(now) for now in (0, 0.001, 0.02, 0.021, 0.05, 9)] == [
        0,
        1,
        1,
        2,
        3,
        3,
    ]
    assert queue.frames_put == 3


def test_a_frame_that_starts_now_is_not_heard_whatever_the_clock_is_worth() -> None:
    for start in (0.0, 0.1, 1_700_000_000 / 1000, 31_536_000.0):
        queue = a_queue(*[20] * 50, now=start)
        assert [queue.frames_heard(start + n * 0.02) for n in range(51)] == list(range(51))


def test_a_frame_without_sound_is_not_there() -> None:
    queue = a_queue(0, -20)
    assert (queue.put_ms, queue.frames_put, list(queue.leads)) == (0, 0, [])
    queue.put(20, now=5)
    assert queue.gaps == []


def test_questions_about_earlier_and_later_change_nothing() -> None:
    queue = a_queue(20, 20)
    assert (queue.frames_heard(1), queue.heard_ms(1)) == (2, 40)
    assert (queue.frames_heard(0), queue.heard_ms(0)) == (0, 0)


def test_frames_that_were_played_are_forgotten() -> None:
    queue = PlaybackQueue()
    for n in range(5000):  # 5 frames ahead, for 100 s
        queue.put(20, now=max(0, n - 5) / 50)
        assert len(queue._first_heard_ms) <= 7  # pyright: ignore[reportPrivateUsage]
    assert queue.gaps == []
    assert queue.frames_heard(1000) == 5000
    assert queue.heard_ms(1000) == 100_000


# --- clear ----------------------------------------------------------------------------------------


def test_a_clear_throws_away_what_was_not_played_yet() -> None:
    queue = a_queue(*[20] * 10)
    assert queue.clear(now=0.125) == 75
    assert queue.cleared_ms == 75
    assert queue.plays_until == 0.125
    assert (queue.heard_ms(9), queue.lead_ms(0.125), queue.frames_heard(9)) == (125, 0, 7)
    assert queue.clear(now=1) == 0


def test_audio_behind_a_clear_is_played_at_once() -> None:
    queue = a_queue(1000)
    queue.clear(now=0.5)
    queue.put(100, now=0.5)
    assert queue.plays_until == 0.6
    assert queue.heard_ms(9) == 600
    assert queue.frames_heard(9) == 2


def test_audio_cleared_at_once_was_never_heard() -> None:
    for now in (0.0, 1234.567):
        queue = a_queue(0.1, 0.2, 20, now=now)
        queue.clear(now=now)
        assert (queue.heard_ms(now), queue.frames_heard(now)) == (0, 0)


# --- the end of the call --------------------------------------------------------------------------


def test_after_the_stop_nothing_more_is_heard() -> None:
    queue = a_queue(1000, 1000)
    queue.stop(now=0.25)
    queue.stop(now=7)  # the first counts
    assert (queue.heard_ms(100), queue.lead_ms(100), queue.frames_heard(100)) == (250, 1750, 1)
    queue.put(20, now=100)
    assert (queue.heard_ms(100), queue.lead_ms(100), queue.gaps) == (250, 1770, [])
    assert queue.leads[-1] == (0.25, 1750)
    assert queue.clear(now=200) == 1770
    assert adds_up(queue, 300)


# --- capacity -------------------------------------------------------------------------------------


def test_what_goes_beyond_a_minute_is_dropped_and_counted() -> None:
    queue = a_queue(59_990, 20, 20)
    assert (queue.lead_ms(0), queue.overflowed_ms) == (60_000, 30)
    assert queue.plays_until == 60
    assert queue.frames_put == 3
    assert queue.frames_heard(1000) == 2  # the second in part, the third not at all
    queue.put(20, now=0.01)
    assert queue.overflowed_ms == pytest.approx(40)
    assert adds_up(queue, 0.01)


def test_the_capacity_may_be_chosen() -> None:
    queue = PlaybackQueue(capacity_ms=100)
    queue.put(150, now=0)
    assert (queue.lead_ms(0), queue.overflowed_ms) == (100, 50)


# --- dry spells -----------------------------------------------------------------------------------


def test_silence_between_two_frames_is_a_gap() -> None:
    queue = a_queue(20, now=1)
    queue.put(20, now=1.5)
    queue.put(20, now=1.51)
    queue.put(20, now=2)
    assert [gap.at for gap in queue.gaps] == pytest.approx([1.02, 1.54])
    assert [gap.ms for gap in queue.gaps] == pytest.approx([480, 460])
    assert queue.gap_ms == pytest.approx(940)
    assert queue.heard_ms(3) == pytest.approx(80)


def test_silence_before_the_first_audio_and_after_the_last_is_no_gap() -> None:
    queue = a_queue(20, now=100)
    assert queue.lead_ms(200) == 0
    assert (queue.gaps, queue.gap_ms) == ([], 0)


@pytest.mark.parametrize("cleared_at", [0.01, 0.02, 0.5])
def test_silence_after_a_clear_is_wanted(cleared_at: float) -> None:
    queue = a_queue(20)
    queue.clear(now=cleared_at)
    queue.put(20, now=1)
    assert queue.gaps == []
    queue.put(20, now=2)
    assert queue.gaps == [Gap(1.02, pytest.approx(980))]


def test_a_frame_that_comes_just_in_time_leaves_no_gap() -> None:
    for start in (0.0, 0.1, 1_700_000.0, 31_536_000.0):  # from 0.1 on, rounding leaves a trace
        queue = PlaybackQueue()
        for n in range(2000):
            queue.put(10, now=start + n * 0.01)
        assert (queue.gaps, queue.gap_ms) == ([], 0)
        assert queue.heard_ms(start + 20) == pytest.approx(20_000)


def test_the_newest_thousand_gaps_are_kept_and_all_are_counted() -> None:
    queue = PlaybackQueue()
    for second in range(1502):
        queue.put(500, now=second)
    assert len(queue.gaps) == 1000
    assert (queue.gaps[0].at, queue.gaps[-1]) == (501.5, Gap(1500.5, 500))
    assert queue.gap_ms == 1501 * 500


# --- leads ----------------------------------------------------------------------------------------


def test_the_lead_is_noted_right_before_each_put() -> None:
    queue = a_queue(20, 20)
    queue.put(20, now=0.03125)
    queue.put(20, now=1)
    assert list(queue.leads) == [(0, 0), (0, 20), (0.03125, 8.75), (1, 0)]


def test_the_newest_ten_thousand_leads_are_kept() -> None:
    queue = PlaybackQueue()
    for n in range(10_005):
        queue.put(20, now=n)
    assert len(queue.leads) == 10_000
    assert queue.leads[0] == (5, 0)


# --- anything, in any order -----------------------------------------------------------------------

TICK = 1 / 1024  # exact in binary, and so are its milliseconds: nothing below is approximate
TICK_MS = 1000 / 1024


@dataclass
class Tape:
    """The same queue, one tick after the other."""

    capacity: int
    waiting: list[int] = field(default_factory=list[int])  # the frame of each tick
    heard: list[int] = field(default_factory=list[int])
    dry: int | None = None  # ticks of silence since it ran dry
    gaps: list[int] = field(default_factory=list[int])
    cleared: int = 0
    overflowed: int = 0
    ids: count[int] = field(default_factory=count)

    def put(self, ticks: int) -> None:
        if self.dry and not self.waiting:
            self.gaps.append(self.dry)
        self.dry = 0
        frame, fits = next(self.ids), min(ticks, self.capacity - len(self.waiting))
        self.waiting += [frame] * fits
        self.overflowed += ticks - fits

    def clear(self) -> None:
        self.cleared += len(self.waiting)
        self.waiting.clear()
        self.dry = None

    def tick(self) -> None:
        if self.waiting:
            self.heard.append(self.waiting.pop(0))
        elif self.dry is not None:
            self.dry += 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 40)),
        st.tuples(st.just("wait"), st.integers(1, 60)),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=40,
)


@given(steps=steps, start=st.sampled_from([0, -5000, 1 << 35]), capacity=st.sampled_from([50, 999]))
def test_the_queue_plays_what_a_tape_would(
    steps: list[tuple[str, int]], start: int, capacity: int
) -> None:
    queue, tape, now = PlaybackQueue(capacity_ms=capacity * TICK_MS), Tape(capacity), start * TICK
    for step, ticks in steps:
        if step == "put":
            queue.put(ticks * TICK_MS, now=now)
            tape.put(ticks)
        elif step == "clear":
            assert queue.clear(now=now) == len(tape.waiting) * TICK_MS
            tape.clear()
        for _ in range(ticks if step == "wait" else 0):
            now += TICK
            tape.tick()
            assert queue.heard_ms(now) == len(tape.heard) * TICK_MS
            assert queue.frames_heard(now) == len(set(tape.heard))
        assert queue.lead_ms(now) == len(tape.waiting) * TICK_MS
        assert queue.heard_ms(now) == len(tape.heard) * TICK_MS
        assert queue.frames_heard(now) == len(set(tape.heard))
        assert queue.cleared_ms == tape.cleared * TICK_MS
        assert queue.overflowed_ms == tape.overflowed * TICK_MS
        assert [gap.ms for gap in queue.gaps] == [gap * TICK_MS for gap in tape.gaps]
        assert queue.gap_ms == sum(tape.gaps) * TICK_MS
        assert len(queue.leads) == queue.frames_put


@given(
    start=st.floats(-1e6, 1e8),
    steps=st.lists(
        st.tuples(
            st.floats(0, 90),
            st.one_of(st.none(), st.floats(0, 70_000), st.floats(0, 40)),
            st.lists(st.floats(0, 100), max_size=3),
        ),
        max_size=30,
    ),
    stop=st.booleans(),
)
def test_the_totals_always_add_up(
    start: float, steps: list[tuple[float, float | None, list[float]]], stop: bool
) -> None:
    queue, now = PlaybackQueue(), start
    heard = 0.0
    for seconds, ms, later in steps:
        now += seconds
        if ms is None:
            queue.clear(now=now)
        else:
            queue.put(ms, now=now)
        assert adds_up(queue, now)
        assert queue.heard_ms(now) >= heard - 1e-6
        heard = queue.heard_ms(now)
        assert heard <= (now - start) * 1000 * (1 + 1e-9) + 1e-3
        assert queue.lead_ms(now) <= 60_000 * (1 + 1e-9)
        for ahead in later:
            assert adds_up(queue, now + ahead)
            assert queue.frames_heard(now) <= queue.frames_heard(now + ahead) <= queue.frames_put
    if stop:
        queue.stop(now=now)
        assert adds_up(queue, now + 1000)
        assert queue.heard_ms(now + 1000) == queue.heard_ms(now)
    assert all(gap.ms > 0 for gap in queue.gaps)
    assert all(one.at < other.at for one, other in pairwise(queue.gaps))
    assert queue.gap_ms == pytest.approx(sum(gap.ms for gap in queue.gaps))
