"""Where the caller's packets and the agent's words are in a recording: two tracks, one clock."""

from __future__ import annotations

import random

import pytest

from plivo_core import AudioError, Limits, PlaybackLedger
from plivo_core.audio import MULAW_8K, PCM_8K, PCM_16K, Recorder
from tests.core._audio import pcm, samples

START = 1000.0  # seconds; a clock that does not begin at zero
PACKET = 160  # samples


def packet(value: int) -> bytes:
    """20 ms that can be told apart."""
    return pcm(value) * PACKET


def tracks(stereo: bytes | bytearray) -> tuple[list[int], list[int]]:
    both = samples(bytes(stereo))
    return both[0::2], both[1::2]


def runs(track: list[int]) -> list[tuple[int, int]]:
    """``(value, samples)`` of each stretch of equal samples."""
    found: list[tuple[int, int]] = []
    for value in track:
        if found and found[-1][0] == value:
            found[-1] = value, found[-1][1] + 1
        else:
            found.append((value, 1))
    return found


class Call:
    """A recorder on a clock that a test turns, with the ledger of the agent's audio."""

    def __init__(self) -> None:
        self.now = START
        self.recorder = Recorder(PCM_8K, now=START)
        self.ledger = PlaybackLedger(Limits())
        self.stereo = bytearray()

    def passes(self, ms: float, step_ms: float = 20) -> None:
        """Time goes by; every ``step_ms`` the ledger is asked, and what is settled is taken."""
        until = self.now + ms / 1000
        while self.now < until - 1e-9:
            self.now = min(until, self.now + step_ms / 1000)
            self.looks()
            self.stereo += self.recorder.take(now=self.now)

    def looks(self) -> None:
        heard_ms, unheard_ms = self.ledger.heard_ms(self.now), self.ledger.unheard_ms(self.now)
        self.recorder.hear(now=self.now, heard_ms=heard_ms, unheard_ms=unheard_ms)

    def hears(self, *values: int, missing: int = 0) -> None:
        for value in values:
            self.recorder.feed_caller(packet(value), now=self.now, missing=missing)
            missing = 0

    def says(self, audio: bytes) -> None:
        self.recorder.feed_agent(audio, at_ms=self.ledger.expected_ms)
        self.ledger.sent(len(audio) / 16, self.now)

    def ends(self) -> tuple[list[int], list[int]]:
        self.looks()
        self.stereo += self.recorder.finish(now=self.now)
        caller, agent = tracks(self.stereo)
        assert len(caller) == len(agent) == round((self.now - START) * 8000)
        return caller, agent


def test_only_pcm_is_recorded() -> None:
    with pytest.raises(AudioError, match="mu-law at 8000 Hz: expected 16 bit PCM"):
        Recorder(MULAW_8K, now=0)
    recorder = Recorder(PCM_16K, now=0)
    with pytest.raises(AudioError, match="packet has 3 bytes"):
        recorder.feed_caller(b"abc", now=0)
    with pytest.raises(AudioError, match="audio has 3 bytes"):
        recorder.feed_agent(b"abc", at_ms=0)
    assert recorder.finish(now=0.01) == bytes(4 * 160)


# --- the caller -----------------------------------------------------------------------------------


def test_what_is_missing_is_silent_and_moves_nothing() -> None:
    call = Call()
    call.hears(1)
    call.passes(40)
    call.hears(2, missing=1)  # one alone would be less than the clock corrects
    call.passes(60)
    call.hears(3, missing=2)
    call.passes(40)
    caller, _ = call.ends()
    assert runs(caller) == [
        (1, PACKET), (0, PACKET), (2, PACKET), (0, 2 * PACKET), (3, PACKET), (0, PACKET),
    ]  # fmt: skip


def test_packets_that_come_late_and_at_once_are_where_they_belong() -> None:
    call = Call()
    call.hears(1)
    call.passes(900)  # the network stalled
    call.hears(*range(2, 46))
    call.passes(2000)
    caller, _ = call.ends()
    assert runs(caller)[:45] == [(value, PACKET) for value in range(1, 46)]


def test_a_stall_of_more_than_a_second_loses_what_was_settled_and_shifts_nothing() -> None:
    call = Call()
    call.hears(1)
    call.passes(1500)
    call.hears(*range(2, 76))
    call.passes(20)
    call.hears(76)
    call.passes(2000)
    caller, _ = call.ends()
    assert caller[:PACKET] == [1] * PACKET
    for value in (26, 50, 75, 76):
        assert caller.index(value) == (value - 1) * PACKET
    assert 25 not in caller


def test_a_caller_who_pauses_is_silent_for_that_long() -> None:
    call = Call()
    for value in (1, 2, 3):
        call.hears(value)
        call.passes(400)  # no packets, and none missing
    assert runs(call.ends()[0]) == [
        (1, PACKET), (0, 3200 - PACKET), (2, PACKET), (0, 3200 - PACKET), (3, PACKET),
        (0, 3200 - PACKET),
    ]  # fmt: skip


@pytest.mark.parametrize("rate", [0.999, 1.001], ids=["slow", "fast"])
def test_a_clock_that_differs_is_followed(rate: float) -> None:
    call = Call()
    for number in range(5000):  # 100 s, 100 ms apart in the end
        call.hears(number % 100 + 1)
        call.passes(20 / rate)
    caller, _ = call.ends()
    for seconds in range(10, 98, 10):
        sent = int(seconds * 50 * rate)  # the packet of that moment, and a little after
        assert abs(caller.index(sent % 100 + 1, seconds * 8000 - 800) / 8000 - seconds) < 0.045


def test_a_sender_faster_than_speech_fills_no_memory() -> None:
    call = Call()
    call.hears(*[1] * 5000)
    assert len(call.recorder._waiting) == 500
    assert len(call.recorder._caller) <= 2 * 2 * PACKET
    call.passes(1000)
    assert len(call.ends()[0]) == 8000


# --- the agent ------------------------------------------------------------------------------------


def test_the_agent_is_heard_when_the_ledger_says_without_a_click() -> None:
    call = Call()
    call.passes(333.07, step_ms=7)
    speech = pcm(*range(1, 4001))
    for start in range(0, len(speech), 320):  # 20 ms a time, up to 200 ms ahead
        while call.ledger.unheard_ms(call.now) > 180:
            call.passes(7.31, step_ms=7.31)  # no whole number of samples
        call.says(speech[start : start + 320])
    call.passes(1000, step_ms=13)
    _, agent = call.ends()
    begins = agent.index(1)
    assert abs(begins - 0.33307 * 8000) <= 1
    assert agent[begins : begins + 4000] == list(range(1, 4001))
    assert set(agent[:begins] + agent[begins + 4000 :]) == {0}


def test_what_was_cleared_is_not_in_it() -> None:
    call = Call()
    call.says(pcm(1) * 8000)
    call.passes(300)
    call.ledger.clear_queued()
    call.ledger.clear_sent(call.now)
    call.passes(200)
    call.says(pcm(2) * 1600)
    call.passes(500)
    assert runs(call.ends()[1]) == [(1, 2400), (0, 1600), (2, 1600), (0, 2400)]


def test_a_pause_between_two_looks_keeps_the_end_of_one_and_the_begin_of_the_other() -> None:
    call = Call()
    call.passes(50, step_ms=50)
    call.says(pcm(1) * 800)
    call.passes(500, step_ms=500)  # it began with the last look, and ended long before this one
    call.now += 0.4
    call.says(pcm(2) * 1600)
    call.passes(100, step_ms=100)  # it began somewhere, and goes on
    call.passes(500)
    assert runs(call.ends()[1]) == [(0, 400), (1, 800), (0, 6400), (2, 1600), (0, 3200)]


def test_more_than_time_allows_keeps_the_latest() -> None:
    call = Call()
    call.recorder.feed_agent(pcm(1) * 800 + pcm(2) * 800, at_ms=0)
    call.recorder.hear(now=START + 0.05, heard_ms=150, unheard_ms=50)
    call.now += 0.2
    call.ledger.sent(200, START)
    assert runs(call.ends()[1]) == [(2, 800), (0, 800)]


def test_what_nobody_fed_and_what_is_fed_too_late_is_silent() -> None:
    call = Call()
    call.ledger.sent(100, call.now)
    call.passes(60)
    call.recorder.feed_agent(pcm(1) * 480 + pcm(2) * 320, at_ms=0)
    call.passes(60)
    assert runs(call.ends()[1]) == [(0, 480), (2, 320), (0, 160)]


def test_a_clock_that_goes_back_adds_nothing() -> None:
    recorder = Recorder(PCM_8K, now=START)
    recorder.hear(now=START + 2, heard_ms=0, unheard_ms=0)
    first = recorder.take(now=START + 2)
    recorder.hear(now=START + 1, heard_ms=0, unheard_ms=0)
    assert recorder.take(now=START + 1) == b""
    rest = recorder.finish(now=START + 2)
    assert len(first) == len(rest) == 4 * 8000


def test_nothing_is_taken_before_it_is_known_what_was_heard() -> None:
    call = Call()
    call.hears(1)
    call.says(pcm(2) * PACKET)
    call.now += 3
    assert call.recorder.take(now=call.now) == b""
    caller, agent = call.ends()
    assert runs(caller) == [(1, PACKET), (0, 24000 - PACKET)]
    assert runs(agent) == [(2, PACKET), (0, 24000 - PACKET)]


# --- both, for long -------------------------------------------------------------------------------


def test_an_hour_with_losses_does_not_drift() -> None:
    """A tenth of the packets is lost, all are late; once a minute both sides can be told apart."""
    dice = random.Random(1)
    call = Call()
    spoken = list[tuple[list[int], list[int]]]()
    missing = 0
    for number in range(180_000):
        start = START + number * 0.02
        if number % 5 == 0:
            call.passes((start - call.now) * 1000, step_ms=100)
        if number % 3000 == 1500:
            call.says(pcm(77) * 4000)
        call.now = start + dice.uniform(0, 0.015)
        if number % 50 and dice.random() < 0.1:
            missing += 1
        else:
            value = 99 if number % 3000 == 1500 else 1
            call.hears(value, missing=missing)
            missing = 0
        if number % 3000 == 2999:
            spoken.append(tracks(call.stereo))
            call.stereo.clear()
            assert len(call.recorder._caller) + len(call.recorder._agent) < 60_000
            assert len(call.recorder._waiting) < 60
    caller = [value for track, _ in spoken for value in track]
    agent = [value for _, track in spoken for value in track]
    for minute in range(60):
        begins = minute * 480_000 + 240_000
        assert abs(caller.index(99, begins - 8000) - begins) <= PACKET
        assert abs(agent.index(77, begins - 8000) - begins) <= PACKET
    assert agent.count(77) == 60 * 4000
