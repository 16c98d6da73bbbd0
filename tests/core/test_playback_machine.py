"""Caller, platform queue and session: what the ledger says against what really was heard.

Messages travel in order, for any time each way. The platform plays what it holds in real time.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plivo_core import Fate, Limits, Session
from plivo_core.events import ClearedAudio, PlayedStream, StreamStart, StreamStop
from tests.core.calls import START, a_session, hears, texts
from tests.core.test_playback import check_totals

_MS = [20, 60, 1000, 2500]


class Caller:
    """The platform's queue, and what of it was played."""

    def __init__(self) -> None:
        self.queue: deque[tuple[int | str, float]] = deque()  # frame number and ms, or a name
        self.heard: dict[int, float] = {}
        self.now = 0.0

    def listen(self, until: float) -> list[str]:
        """Let time pass; the checkpoints that were reached."""
        left, names = (until - self.now) * 1000, list[str]()
        self.now = until
        while self.queue:
            what, ms = self.queue[0]
            if isinstance(what, str):
                names.append(what)
            elif (take := min(ms, left)) > 0:
                left -= take
                self.heard[what] = self.heard.get(what, 0.0) + take
                if take < ms:
                    self.queue[0] = what, ms - take
                    return names
            else:
                return names
            self.queue.popleft()
        return names


# Named, for lambdas are dear: hypothesis 6.100 looks for the source of each at every draw.


def goes_on(machine: PlaybackMachine) -> bool:
    return not machine.over


def has_sent(machine: PlaybackMachine) -> bool:
    return bool(machine.to_platform)


def has_answers(machine: PlaybackMachine) -> bool:
    return bool(machine.to_us)


class PlaybackMachine(RuleBasedStateMachine):
    @initialize(
        overflow=st.sampled_from(["drop_oldest", "drop_newest"]),
        instant=st.booleans(),
    )
    def answer_the_call(self, overflow: Any, instant: bool) -> None:
        self.now = 0.0
        self.instant = instant  # messages take no time, and the transport takes everything
        self.session: Session = a_session(
            START, limits=Limits(audio_overflow=overflow, audio_buffer_ms=3000)
        )
        self.caller = Caller()
        self.frames = 0  # put into the session
        self.names = 0
        self.left: set[str] = set()  # checkpoints that the transport took
        self.put_ms = 0.0
        self.to_platform: deque[Any] = deque()
        self.to_us: deque[PlayedStream | ClearedAudio] = deque()
        self.truth: dict[str, Fate] = {}  # what really became of each checkpoint
        self.known: dict[str, Fate] = {}  # what the ledger said
        self.silenced: list[int] = []  # per clear on its way back: frames that were sent before it
        self.forbidden = 0  # frames up to this number must not be heard any more
        self.heard_then: dict[int, float] = {}
        self.over = False

    # -- the application -----------------------------------------------------------------------

    @precondition(goes_on)
    @rule(ms=st.sampled_from(_MS), times=st.sampled_from([1, 1, 3]))
    def send_audio(self, ms: int, times: int) -> None:
        payload = base64.b64encode(bytes(ms * 8)).decode()
        for _ in range(times):
            self.frames += 1
            self.put_ms += ms
            self.session.send_media(payload, f"{self.frames}", 8000)  # the type says which frame
        self.settle()

    @precondition(goes_on)
    @rule()
    def send_a_checkpoint(self) -> None:
        self.names += 1
        self.session.send_checkpoint(f"c{self.names}")
        self.settle()

    @precondition(goes_on)
    @rule()
    def interrupt(self) -> None:
        ledger = self.session.playback
        before = ledger.unheard_ms(self.now)
        waiting = [name for name in ledger.pending if name not in self.left]
        cut = self.session.interrupt(now=self.now)
        assert cut.unheard_ms == pytest.approx(before)
        assert cut.heard_ms == pytest.approx(ledger.heard_ms(self.now))
        assert cut.proven_ms <= cut.heard_ms + 1e-6
        assert ledger.queued_ms == 0
        for name in waiting:
            self.truth.setdefault(name, Fate.CLEARED)
            assert ledger.fate(name) is self.truth[name]
        self.settle()

    # -- the wire ------------------------------------------------------------------------------

    def settle(self) -> None:
        """With no time on the way, everything arrives at once."""
        while self.instant and not self.over:
            self.the_transport_takes(1000)
            if self.to_platform:
                self.the_platform_reads()
            elif self.to_us:
                self.we_read()
            else:
                return

    @rule(count=st.sampled_from([1, 2, 10, 1000]))
    def the_transport_takes(self, count: int) -> None:
        for _ in range(count):
            self.session.now = self.now
            if (text := self.session.next_text()) is None:
                return
            sent = json.loads(text)
            if sent["event"] == "checkpoint":
                self.left.add(sent["name"])
            self.to_platform.append(sent)

    @precondition(has_sent)
    @rule()
    def the_platform_reads(self) -> None:
        sent = self.to_platform.popleft()
        if sent["event"] == "playAudio":
            number = int(sent["media"]["contentType"])
            payload = base64.b64decode(sent["media"]["payload"])
            self.caller.queue.append((number, len(payload) / 8))
        elif sent["event"] == "checkpoint":
            self.caller.queue.append((sent["name"], 0.0))
            self.listen()
        else:
            for what, _ in self.caller.queue:
                if isinstance(what, str):
                    self.truth.setdefault(what, Fate.CLEARED)
            self.silenced.append(max([*self.caller.heard, *self.queued_frames()], default=0))
            self.caller.queue.clear()
            self.to_us.append(ClearedAudio())

    def queued_frames(self) -> list[int]:
        return [what for what, _ in self.caller.queue if isinstance(what, int)]

    def listen(self) -> None:
        for name in self.caller.listen(self.now):
            self.truth.setdefault(name, Fate.PLAYED)
            self.to_us.append(PlayedStream(name=name))

    @precondition(has_answers)
    @rule()
    def we_read(self) -> None:
        event = self.to_us.popleft()
        hears(self.session, event, now=self.now)
        if isinstance(event, ClearedAudio):
            self.forbidden = max(self.forbidden, self.silenced.pop(0))
            self.heard_then = dict(self.caller.heard)

    @rule(seconds=st.sampled_from([0.005, 0.02, 0.5, 4]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.listen()
        self.settle()

    @precondition(goes_on)
    @rule(how=st.sampled_from(["no"] * 9 + ["stop", "start"]))
    def the_stream_ends(self, how: str) -> None:
        if how == "no":
            return
        pending = self.session.playback.pending
        if how == "start":
            hears(self.session, StreamStart(stream_id="stream-2"), now=self.now)
            assert self.session.playback.sent_ms == self.session.playback.queued_ms == 0
        else:
            hears(self.session, StreamStop(), now=self.now)
        self.over = True
        self.truth.update(dict.fromkeys(pending, Fate.LOST))

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def the_totals_add_up(self) -> None:
        if not hasattr(self, "session"):
            return
        ledger = self.session.playback
        check_totals(ledger, self.now)
        if not self.over:
            here = ledger.queued_ms + ledger.dropped_ms + ledger.sent_ms
            assert self.put_ms == pytest.approx(here)

    @invariant()
    def each_checkpoint_ends_once_and_as_it_did(self) -> None:
        for number in range(1, getattr(self, "names", 0) + 1):
            name = f"c{number}"
            fate = self.session.playback.fate(name)
            assert fate is not None
            if fate is not Fate.PENDING:
                assert self.known.setdefault(name, fate) is fate
                assert self.truth[name] is fate

    @invariant()
    def what_was_cleared_is_not_heard_any_more(self) -> None:
        if not hasattr(self, "session"):
            return
        for number, ms in self.caller.heard.items():
            if number <= self.forbidden:
                assert self.heard_then.get(number) == ms

    @invariant()
    def what_is_heard_is_what_the_caller_hears(self) -> None:
        if not hasattr(self, "session") or self.over:
            return
        really = sum(self.caller.heard.values())
        ledger = self.session.playback
        assert ledger.proven_ms <= really + 1e-6
        if self.instant:
            assert ledger.heard_ms(self.now) == pytest.approx(really, abs=1e-6)

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        if not self.over:
            self.instant = True
            self.settle()
            assert self.session.playback.clearing_ms == 0
            self.time_passes(3600)
            assert self.session.playback.pending == ()
            assert self.session.playback.unheard_ms(self.now) == 0
            self.each_checkpoint_ends_once_and_as_it_did()
        assert texts(self.session) == [] or self.over


TestPlaybackMachine = PlaybackMachine.TestCase
TestPlaybackMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
