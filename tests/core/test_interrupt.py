"""Interruptions and unsent audio in the core: what leaves, what is heard, what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plivo_core import (
    AudioQueueFull,
    ClientConnection,
    ConfigError,
    Fate,
    Interrupted,
    Limits,
    ServerConnection,
    Timings,
)
from plivo_core.commands import ClearAudio, PlayAudio
from plivo_core.events import ClearedAudio, StreamDtmf
from plivo_core.platform import Emit, Expect, Pause, PlatformCall
from tests.core.calls import (
    START,
    STARTED,
    a_call,
    a_pair,
    a_session,
    bytes_of,
    events_of,
    everything,
    hears,
    messages,
    names,
    texts,
)

PACKET = base64.b64encode(b"\x7f" * 160).decode()  # 20 ms of mu-law


def text_size(payload: str = PACKET) -> int:
    session = a_session(START)
    session.send_media(payload)
    return session.pending.audio_bytes


# --- with the platform, by number ---


class ACall:
    """Both ends of one call without a wire in between them; what one says the other hears."""

    def __init__(self, *script: Any) -> None:
        self.server, self.client = a_pair()
        self.platform = PlatformCall(script, mode="stream")
        self.events: list[Any] = []
        self.platform.start(now=0.0)

    def passes(self, now: float) -> list[Any]:
        """Everything that is under way arrives; the new events of the application."""
        self.platform.handle_timeout(now=now)
        seen = len(self.events)
        while self._platform_says(now) or self._application_says(now):
            pass
        return self.events[seen:]

    def _platform_says(self, now: float) -> bool:
        while (event := self.platform.next_event()) is not None:
            self.client.send(event, now=now)
        data = bytes_of(self.client)
        self.server.receive_data(data, now=now)
        self.events += events_of(self.server)
        return bool(data)

    def _application_says(self, now: float) -> bool:
        self.server.session.now = now
        data = bytes_of(self.server)
        self.client.receive_data(data, now=now)
        for command in iter(self.client.next_event, None):
            self.platform.receive_command(command, now=now)  # type: ignore[arg-type]
        return bool(data)


def test_after_an_interrupt_the_platform_plays_no_further_frame() -> None:
    call = ACall(Pause(1.0), Emit(StreamDtmf(digit="1")), Expect(ClearAudio, "cleared", within=9))
    call.passes(0.0)
    session = call.server.session
    for _ in range(200):  # 4 s
        session.send_media(PACKET)
    session.send_checkpoint("end")
    call.passes(0.0)
    for ms in range(20, 1000, 20):
        call.passes(ms / 1000)
    (pressed,) = call.passes(1.0)
    assert isinstance(pressed, StreamDtmf)
    heard = call.platform.playback.frames_heard(1.0)
    cut = session.interrupt(now=1.0)
    assert cut == pytest.approx(Interrupted(1000, 0, 3000, clearing=True))
    (cleared,) = call.passes(1.0)
    assert isinstance(cleared, ClearedAudio)
    assert session.playback.fate("end") is Fate.CLEARED
    for ms in range(1020, 6000, 20):
        assert call.passes(ms / 1000) == []
    assert call.platform.playback.frames_heard(6.0) == heard
    platform, ledger = call.platform.playback, session.playback
    assert platform.heard_ms(6.0) == pytest.approx(ledger.heard_ms(6.0)) == pytest.approx(1000)


# --- what was cut off ---


def test_an_interrupt_of_nothing_still_clears() -> None:
    session = a_session(START)
    assert session.interrupt(now=1.0) == pytest.approx(Interrupted(0, 0, 0, clearing=False))
    assert names(texts(session)) == ["clearAudio"]


def test_an_interrupt_when_all_was_sent_tells_what_the_platform_holds() -> None:
    session = a_session(START)
    for _ in range(10):
        session.send_media(PACKET)
    texts(session)
    assert session.interrupt(now=0.05) == pytest.approx(Interrupted(50, 0, 150, clearing=True))
    assert names(texts(session)) == ["clearAudio"]


def test_an_interrupt_when_a_part_was_sent_drops_the_rest() -> None:
    session = a_session(START)
    for _ in range(10):
        session.send_media(PACKET)
    for _ in range(4):
        session.next_text()
    session.send_checkpoint("unsent")
    assert session.interrupt(now=0.03) == pytest.approx(Interrupted(30, 0, 170, clearing=True))
    assert session.playback.fate("unsent") is Fate.CLEARED
    assert session.playback.dropped_ms == 120
    assert names(texts(session)) == ["clearAudio"]


def test_an_interrupt_before_anything_left_has_nothing_to_clear_there() -> None:
    session = a_session(START)
    session.send_media(PACKET)
    assert session.interrupt(now=1.0) == pytest.approx(Interrupted(0, 0, 20, clearing=False))


def test_a_new_stream_counts_as_a_clear_of_the_old_one() -> None:
    session = a_session(START)
    before = session.playback.clears
    hears(session, START)
    assert session.playback.clears == before + 1


# --- policies ---


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "error"])
def test_one_message_alone_may_last_longer_than_the_budget(policy: Any) -> None:
    session = a_session(START, limits=Limits(audio_overflow=policy, audio_buffer_ms=10))
    session.send_media(PACKET)
    assert session.interrupt().unheard_ms == 20
    assert session.playback.dropped_ms == 20
    session.send_media(PACKET)
    assert names(texts(session)) == ["clearAudio", "playAudio"]


def test_the_newest_audio_is_dropped_where_that_is_the_policy() -> None:
    session = a_session(START, limits=Limits(audio_buffer_ms=60, audio_overflow="drop_newest"))
    for number in range(6):
        session.send_media(base64.b64encode(bytes([number]) * 160).decode())
    assert session.pending.audio_ms == 60
    assert (session.playback.dropped_ms, session.output.dropped_messages) == (60, 3)
    payloads = [sent["media"]["payload"] for sent in texts(session)]
    assert [base64.b64decode(payload)[0] for payload in payloads] == [0, 1, 2]


def test_audio_over_its_budget_is_an_error_where_that_is_the_policy() -> None:
    session = a_session(START, limits=Limits(audio_buffer_ms=60, audio_overflow="error"))
    for _ in range(3):
        session.send_media(PACKET)
    before = everything(session)
    with pytest.raises(AudioQueueFull, match="60 ms of audio"):
        session.send_media(PACKET)
    assert everything(session) == before
    session.next_text()
    session.send_media(PACKET)  # there is room again


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "error"])
def test_one_message_over_all_of_the_budget_is_an_error(policy: Any) -> None:
    size = text_size()
    limits = Limits(audio_buffer=size - 1, audio_overflow=policy)
    session = a_session(START, limits=limits)
    before = everything(session)
    with pytest.raises(AudioQueueFull, match=f"one audio message has {size} bytes"):
        session.send_media(PACKET)
    assert everything(session) == before
    session = a_session(START, limits=Limits(audio_buffer=size, audio_overflow=policy))
    session.send_media(PACKET)
    assert session.pending.audio_messages == 1


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="drop_oldest, drop_newest, error"):
        Limits(audio_overflow="x")  # type: ignore[arg-type]


# --- how much waits ---


def test_pending_counts_both_lanes() -> None:
    session = a_session(START)
    session.send_media(PACKET)
    session.send_media(PACKET)
    session.send_checkpoint("c")
    session.speak("x")
    pending = session.pending
    assert (pending.control_messages, pending.audio_messages, pending.audio_ms) == (2, 2, 40)
    assert pending.audio_bytes == 2 * text_size()
    sizes = [len(text) for text in iter(session.next_text, None)]
    assert sum(sizes) == pending.audio_bytes + pending.control_bytes
    assert session.pending == (0, 0, 0, 0, 0)


def test_the_delay_of_audio_keeps_it_near_the_ear() -> None:
    session = a_session(START)
    for expected in [0.0] * 10 + [0.02]:
        assert session.audio_delay(216, 20, ahead_ms=200) == pytest.approx(expected)
        if not expected:
            session.send_media(PACKET)
    texts(session)
    session.now = 0.02
    assert session.audio_delay(216, 20, ahead_ms=200) == 0
    assert session.audio_delay(216, 60, ahead_ms=200) == pytest.approx(0.04)


def test_audio_that_is_longer_than_it_may_be_ahead_waits_for_silence() -> None:
    session = a_session(START)
    assert session.audio_delay(216, 500, ahead_ms=200) == 0
    session.send_media(PACKET)
    texts(session)
    assert session.audio_delay(216, 500, ahead_ms=200) == pytest.approx(0.02)


def test_there_is_no_delay_to_tell_while_the_lane_is_full() -> None:
    session = a_session(START, limits=Limits(audio_buffer_ms=40))
    session.send_media(PACKET)
    session.send_media(PACKET)
    assert session.audio_delay(216, 20, ahead_ms=30_000) is None
    session.next_text()
    assert session.audio_delay(216, 20, ahead_ms=30_000) == 0
    small = a_session(START, limits=Limits(audio_buffer=2 * text_size()))
    small.send_media(PACKET)
    small.send_media(PACKET)
    assert small.audio_delay(len(PACKET), 20, ahead_ms=30_000) is None


def test_what_fits_into_no_budget_is_not_waited_for() -> None:
    session = a_session(START, limits=Limits(audio_buffer=2 * text_size()))
    assert session.audio_delay(2 * text_size(), 20, ahead_ms=30_000) == 0
    session.send_media(PACKET)
    assert session.audio_delay(2 * text_size(), 20, ahead_ms=30_000) is None


def test_there_is_no_delay_to_tell_until_the_clear_has_left() -> None:
    session = a_session(START)
    session.send_media(PACKET)
    texts(session)
    session.interrupt()
    assert session.audio_delay(216, 20, ahead_ms=10) is None
    texts(session)
    assert session.audio_delay(216, 20, ahead_ms=10) == 0
    hears(session, ClearedAudio())
    hears(session, ClearedAudio())  # nobody asked for this one
    assert session.audio_delay(216, 20, ahead_ms=10) == 0


def test_what_is_told_to_fit_fits_with_the_message_around_it() -> None:
    size = text_size()
    assert size - len(PACKET) <= 100
    for budget, fits in [(2 * size - 1, False), (size + len(PACKET) + 100, True)]:
        session = a_session(START, limits=Limits(audio_buffer=budget, audio_overflow="error"))
        session.send_media(PACKET)
        assert (session.audio_delay(len(PACKET), 20, ahead_ms=200) is not None) == fits
    session.send_media(PACKET)


# --- a transport that takes nothing ---


def test_a_stalled_transport_bounds_what_is_held_and_control_leaves_first() -> None:
    limits = Limits()
    conn = a_call(STARTED, START, limits=limits, timings=Timings(write=30))
    session = conn.session
    for number in range(10 * 60 * 50):  # ten minutes, 20 ms each, while time stands nearly still
        session.send(PlayAudio(PACKET), now=1 + number / 10_000)
        if number % 100 == 0:
            session.speak(f"{number}")
        if number % 1000 == 0:
            pending = session.pending
            assert pending.audio_bytes <= limits.audio_buffer
            assert pending.audio_ms <= limits.audio_buffer_ms
            assert pending.control_bytes <= limits.control_buffer
    pending = session.pending
    assert pending.audio_bytes + pending.control_bytes < limits.audio_buffer + limits.control_buffer
    assert pending.audio_messages == 250
    assert session.playback.dropped_ms == 10 * 60 * 1000 - 5000
    conn.handle_timeout(now=5.0)
    found = names(messages(bytes_of(conn)))
    assert found == ["agent_session.speak"] * 300 + ["playAudio"] * 250


@pytest.mark.parametrize("taken", [0, 1])
def test_a_second_start_that_leaves_nothing_to_send_ends_the_stall(taken: int) -> None:
    session = a_session(START)
    session.send(PlayAudio(PACKET), now=1.0)
    session.send(PlayAudio(PACKET), now=1.0)
    for _ in range(taken):
        session.next_text()
    hears(session, START, now=2.0)
    session.handle_timeout(now=3.0)
    assert session.stalled_since is None
    session.speak("still not taken")
    hears(session, START, now=4.0)
    assert session.stalled_since == 3.0


def test_a_transport_that_stalls_for_too_long_is_given_up() -> None:
    conn: ServerConnection | ClientConnection = a_call(START, timings=Timings(write=10))
    assert isinstance(conn, ServerConnection)
    conn.session.send(PlayAudio(PACKET), now=1.0)
    assert conn.deadline() == 11.0
    conn.handle_timeout(now=11.0)
    assert [type(event).__name__ for event in events_of(conn)] == ["Ended"]
    assert conn.session.pending == (0, 0, 0, 0, 0)
