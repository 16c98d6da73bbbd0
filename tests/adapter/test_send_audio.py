"""`send_audio`, `wait_played`, `hangup_after_playback`, `interrupt`: in virtual time."""

from __future__ import annotations

import base64
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from plivo_anyio import Spoken
from plivo_anyio._conditions import Conditions
from plivo_core import (
    AudioError,
    AudioQueueFull,
    ConfigError,
    Fate,
    Limits,
    LocalProtocolError,
    MediaFormat,
    SessionClosedError,
    Timings,
)
from plivo_core.audio import MULAW_8K, PCM_16K
from plivo_core.commands import Checkpoint, ClearAudio, Hangup
from plivo_core.events import AgentSessionStarted, ClearedAudio, StreamDtmf, StreamStart, StreamStop
from plivo_core.platform import Emit, HangUp, Pause
from tests.adapter._virtual import Doing, Phone, a_phone_call, said, settle, virtual_backend

pytestmark = pytest.mark.anyio

anyio_backend = virtual_backend

L16 = {"content_type": "audio/x-l16", "sample_rate": 16000}


# --- room -----------------------------------------------------------------------------------------


async def test_audio_leaves_in_messages_of_twelve_kilobytes() -> None:
    async with a_phone_call() as phone:
        audio = bytes(range(256)) * 120  # 30,720 bytes, 3.84 s
        assert await phone.session.send_audio(audio)
        await settle()
        messages = [command for _, command in phone.audio]
        payloads = [base64.b64decode(each.payload) for each in messages]
        assert [len(payload) for payload in payloads] == [12288, 12288, 6144]
        assert b"".join(payloads) == audio
        assert {(m.content_type, m.sample_rate) for m in messages} == {("audio/x-mulaw", 8000)}
        assert all(len(each.payload) <= 16 * 1024 for each in messages)


async def test_audio_waits_when_it_is_far_enough_ahead_of_the_ear() -> None:
    async with a_phone_call(limits=Limits(playback_ahead_ms=3000)) as phone:
        began = phone.now
        assert await phone.session.send_audio(said(6 * 1536))
        # Each message lasts 1.536 s, and one more fits when 1.464 s are unheard.
        assert phone.now - began == pytest.approx(6 * 1.536 - 3)
        await settle()
        leads = [lead for _, lead in phone.platform.playback.leads]
        assert leads == pytest.approx([0, 1464, 1464, 1464, 1464, 1464], abs=1)


async def test_audio_waits_for_room_and_nothing_is_dropped() -> None:
    limits = Limits(audio_buffer_ms=400, playback_ahead_ms=30_000)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        phone.stalls()

        async def send_all() -> None:
            for _ in range(50):
                await phone.session.send_audio(said(100))

        sending = Doing(send_all)
        tasks.start_soon(sending.run)
        await anyio.sleep(5)
        assert not sending.over.is_set()
        ledger = phone.session.playback
        assert ledger.queued_ms == 400
        phone.reads_on()
        await sending.over.wait()
        assert sending.error is None
        await settle()
        assert ledger.dropped_ms == 0
        assert ledger.sent_ms == 5000
        assert phone.now == pytest.approx(sending.ended_at, abs=0.01)


async def test_a_stalled_peer_ends_the_wait_with_the_call() -> None:
    limits, timings = Limits(audio_buffer_ms=400), Timings(write=2)
    async with a_phone_call(limits=limits, timings=timings) as phone:
        phone.stalls()
        began = phone.now
        assert await phone.session.send_audio(said(400))
        with pytest.raises(SessionClosedError):
            await phone.session.send_audio(bytes(200_000))
        assert 2 <= phone.now - began <= 4.1


async def test_a_message_that_fits_into_no_budget_is_an_error_and_no_hang() -> None:
    async with a_phone_call(limits=Limits(audio_buffer=20)) as phone:
        with pytest.raises(AudioQueueFull):
            await phone.session.send_audio(said(20))


async def test_senders_take_turns_in_order() -> None:
    limits = Limits(playback_ahead_ms=1000)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        values = [0x11, 0x22, 0x33]
        for value in values:
            tasks.start_soon(phone.session.send_audio, said(4000, value=value))
            await settle()
        await anyio.sleep(13)
        order = [base64.b64decode(command.payload)[0] for _, command in phone.audio]
        assert order == sorted(order)
        assert set(order) == set(values)


async def test_a_sender_that_is_cancelled_leaves_the_turn_to_the_next() -> None:
    limits = Limits(playback_ahead_ms=1000)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        first = Doing(phone.session.send_audio, said(60_000))
        second = Doing(phone.session.send_audio, said(20))
        tasks.start_soon(first.run)
        await settle()
        tasks.start_soon(second.run)
        await anyio.sleep(1)
        assert not second.over.is_set()
        first.scope.cancel()
        await second.over.wait()
        assert second.result is True
        assert not any(isinstance(command, ClearAudio) for _, command in phone.received)


# --- interruptions --------------------------------------------------------------------------------


def _by_interrupt(phone: Phone) -> None:
    phone.session.interrupt()


def _by_clear(phone: Phone) -> None:
    phone.session.clear_audio()


def _by_thread(phone: Phone) -> None:
    thread = threading.Thread(target=phone.session.interrupt)
    thread.start()
    thread.join()


@pytest.mark.parametrize("interrupt", [_by_interrupt, _by_clear, _by_thread])
async def test_an_interruption_drops_the_rest_of_all_who_wait(interrupt: Any) -> None:
    limits = Limits(playback_ahead_ms=1000)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        both = [Doing(phone.session.send_audio, said(60_000)) for _ in range(2)]
        for each in both:
            tasks.start_soon(each.run)
        await anyio.sleep(2)
        now = phone.now
        interrupt(phone)
        for each in both:
            await each.over.wait()
        assert [each.result for each in both] == [False, False]
        assert [each.error for each in both] == [None, None]
        assert phone.now - now < 0.01
        assert await phone.session.send_audio(said(20))  # what comes afterwards is heard


async def test_an_interruption_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    limits = Limits(audio_buffer_ms=400)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        phone.stalls()
        sending = Doing(phone.session.send_audio, said(60_000))
        tasks.start_soon(sending.run)
        await anyio.sleep(1)
        now = phone.now
        phone.session.interrupt()
        await sending.over.wait()
        assert sending.result is False
        assert phone.now == pytest.approx(now)


@pytest.mark.parametrize("how", ["say_audio", "send_audio"])
async def test_who_speaks_after_an_interruption_waits_for_the_clear_and_no_longer(
    how: str,
) -> None:
    limits = Limits(playback_ahead_ms=8000)
    async with a_phone_call(limits=limits) as phone, anyio.create_task_group() as tasks:
        await phone.session.send_audio(said(8000))
        await settle()
        phone.stalls()
        for _ in range(2):  # the first is on its way, the second fills the transport
            phone.session.send_dtmf("1")
            await settle()
        began = phone.now
        phone.session.interrupt()
        speaking = Doing(getattr(phone.session, how), said(1000))
        tasks.start_soon(speaking.run)
        await anyio.sleep(0.2)
        phone.reads_on()
        await anyio.sleep(0.1)
        assert phone.audio[-1][0] - began == pytest.approx(0.2, abs=0.1)
        await speaking.over.wait()
        if how == "say_audio":
            assert speaking.result == Spoken(1000, 1000, Fate.PLAYED)


async def test_a_cleared_audio_that_nobody_asked_for_drops_the_rest() -> None:
    limits = Limits(playback_ahead_ms=1000)
    async with a_phone_call(Pause(2), Emit(ClearedAudio()), Pause(60), limits=limits) as phone:
        began = phone.now
        assert not await phone.session.send_audio(said(60_000))
        assert phone.now - began == pytest.approx(2, abs=0.01)


async def test_interrupt_tells_what_was_heard() -> None:
    async with a_phone_call() as phone:
        await phone.session.send_audio(said(4000))
        await anyio.sleep(1)
        cut = phone.session.interrupt()
        await settle()
        assert cut.heard_ms == pytest.approx(1000, abs=1)
        assert cut.unheard_ms == pytest.approx(3000, abs=1)
        assert cut.clearing
        assert phone.platform.playback.heard_ms(phone.now) == pytest.approx(1000, abs=1)


# --- what is refused ------------------------------------------------------------------------------


async def test_half_a_sample_is_refused_and_nothing_sent() -> None:
    async with a_phone_call(**L16) as phone:
        with pytest.raises(AudioError, match="641 bytes of 16 bit PCM at 16000 Hz"):
            await phone.session.send_audio(bytes(641))
        assert phone.session.playback.expected_ms == 0


async def test_another_format_is_refused_naming_both() -> None:
    async with a_phone_call() as phone:
        assert await phone.session.send_audio(said(20), MULAW_8K)
        with pytest.raises(AudioError, match=r"16 bit PCM at 16000 Hz .* mu-law at 8000 Hz"):
            await phone.session.send_audio(bytes(640), PCM_16K)


@pytest.mark.parametrize("chunk", ["AAAA", None, 3, [b"x"]])
async def test_what_is_not_bytes_like_is_refused(chunk: Any) -> None:
    async with a_phone_call() as phone:
        with pytest.raises(TypeError, match=f"not {type(chunk).__name__}"):
            await phone.session.send_audio(chunk)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bytes_like_is_enough(kind: Any) -> None:
    async with a_phone_call() as phone:
        assert await phone.session.send_audio(kind(said(20)))
        assert await phone.session.send_audio(kind(b""))
        assert phone.session.playback.expected_ms == 20


async def test_before_the_start_there_is_no_format() -> None:
    async with a_phone_call() as phone:
        phone.driver.conn.session.media_format = None
        with pytest.raises(LocalProtocolError, match="'start'"):
            await phone.session.send_audio(said(20))


async def test_a_stream_of_unknown_format_is_refused() -> None:
    async with a_phone_call() as phone:
        phone.driver.conn.session.media_format = MediaFormat("audio/opus", 48000)
        with pytest.raises(AudioError, match="audio/opus"):
            await phone.session.send_audio(said(20))


# --- the end of the call --------------------------------------------------------------------------


async def test_the_end_of_the_call_ends_the_wait_and_all_later_ones() -> None:
    limits = Limits(playback_ahead_ms=1000)
    async with a_phone_call(Pause(3), HangUp(), limits=limits) as phone:
        began = phone.now
        with pytest.raises(SessionClosedError):
            await phone.session.send_audio(said(60_000))
        assert phone.now - began == pytest.approx(3, abs=0.1)
        with pytest.raises(SessionClosedError):
            await phone.session.send_audio(said(20))


async def test_our_own_close_ends_the_wait_before_the_caller_answers_it() -> None:
    async with a_phone_call(limits=Limits(playback_ahead_ms=1000)) as phone:
        async with anyio.create_task_group() as tasks:
            sending = Doing(phone.session.send_audio, said(60_000))
            waiting = Doing(phone.session.wait_played, "c")
            phone.session.send_checkpoint("c")
            tasks.start_soon(sending.run)
            tasks.start_soon(waiting.run)
            await anyio.sleep(1)
            now = phone.now
            phone.stalls()
            phone.session.close()
            await sending.over.wait()
            await waiting.over.wait()
        assert isinstance(sending.error, SessionClosedError)
        assert waiting.result is Fate.LOST
        assert phone.now - now < 0.01


async def test_the_end_of_the_server_ends_the_wait() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        await phone.session.send_audio(said(20_000))
        phone.session.send_checkpoint("c")
        waiting = Doing(phone.session.wait_played, "c")
        tasks.start_soon(waiting.run)
        await anyio.sleep(1)
        phone.stalls()
        for _ in range(2):  # the second one waits for the peer, and no Close fits behind it
            phone.session.send_media("////")
            await settle()
        phone.server.cancel()
        await waiting.over.wait()
        assert waiting.result is Fate.LOST


async def test_the_end_of_a_stream_ends_the_wait_before_the_agents_last_words() -> None:
    limits = Limits(playback_ahead_ms=1000)
    script = [Pause(3), Emit(StreamStop(stream_id="stream-1")), Pause(60)]
    async with a_phone_call(*script, mode="raw", limits=limits) as phone:
        began = phone.now
        with pytest.raises(SessionClosedError):
            await phone.session.send_audio(said(60_000))
        assert phone.now - began == pytest.approx(3, abs=0.01)


# --- checkpoints ----------------------------------------------------------------------------------


async def test_a_checkpoint_is_waited_for_until_it_was_played() -> None:
    async with a_phone_call() as phone:
        await phone.session.send_audio(said(1000))
        phone.session.send_checkpoint("c")
        began = phone.now
        assert await phone.session.wait_played("c") is Fate.PLAYED
        assert phone.now - began == pytest.approx(1, abs=0.01)
        assert await phone.session.wait_played("c") is Fate.PLAYED


async def test_a_checkpoint_that_is_cleared_or_lost_ends_the_wait() -> None:
    async with a_phone_call(Pause(4), HangUp()) as phone, anyio.create_task_group() as tasks:
        await phone.session.send_audio(said(20_000))
        phone.session.send_checkpoint("c")
        waiting = Doing(phone.session.wait_played, "c")
        tasks.start_soon(waiting.run)
        await anyio.sleep(1)
        phone.session.interrupt()
        await waiting.over.wait()
        assert waiting.result is Fate.CLEARED
        phone.session.send_media("////")
        phone.session.send_checkpoint("d")
        await phone.session.send_audio(said(20_000))
        phone.session.send_checkpoint("e")
        assert await phone.session.wait_played("d") is Fate.PLAYED
        assert await phone.session.wait_played("e") is Fate.LOST
        assert await phone.session.wait_played("e") is Fate.LOST


async def test_a_second_start_loses_the_checkpoints_of_the_first_stream() -> None:
    again = StreamStart(stream_id="s2", content_type="audio/x-mulaw", sample_rate=8000)
    async with a_phone_call(Pause(1), Emit(again), Pause(60)) as phone:
        await phone.session.send_audio(said(10_000))
        phone.session.send_checkpoint("c")
        began = phone.now
        assert await phone.session.wait_played("c") is Fate.LOST
        assert phone.now - began == pytest.approx(1, abs=0.01)


async def test_a_name_that_was_never_sent_is_refused_at_once() -> None:
    async with a_phone_call() as phone:
        with pytest.raises(LocalProtocolError, match="no checkpoint 'x'"):
            await phone.session.wait_played("x")


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    async with a_phone_call() as phone:
        await phone.session.send_audio(said(5000))
        phone.session.send_checkpoint("c")
        with anyio.move_on_after(1) as scope:
            await phone.session.wait_played("c")
        assert scope.cancelled_caught
        assert not phone.driver.conditions
        assert await phone.session.wait_played("c") is Fate.PLAYED


# --- hanging up -----------------------------------------------------------------------------------


async def hung_up_at(phone: Phone) -> list[float]:
    await anyio.sleep(10)
    ended = phone.session.ended
    return [at for at, each in phone.received if isinstance(each, Hangup)] + (
        [] if ended is None or ended.initiator == "remote" else [0]
    )


async def test_hanging_up_waits_until_all_was_heard() -> None:
    async with a_phone_call(mode="raw") as phone:
        began = phone.now
        await phone.session.send_audio(said(3000))
        assert await phone.session.hangup_after_playback() is Fate.PLAYED
        assert phone.now - began == pytest.approx(3, abs=0.01)
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1
        heard = phone.platform.playback.heard_ms(phone.now)
        assert heard == pytest.approx(3000)


async def test_a_plain_stream_is_closed() -> None:
    async with a_phone_call() as phone:
        await phone.session.send_audio(said(1000))
        assert await phone.session.hangup_after_playback() is Fate.PLAYED
        await settle()
        assert phone.session.ended is not None
        assert phone.session.ended.initiator == "local"
        assert phone.session.ended.code == 1000


@pytest.mark.parametrize("patience", [None, 0])
async def test_with_nothing_to_hear_it_hangs_up_at_once(patience: float | None) -> None:
    async with a_phone_call(mode="raw") as phone:
        began = phone.now
        assert await phone.session.hangup_after_playback(patience) is None
        assert phone.now == pytest.approx(began)
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1
        assert not any(isinstance(each, Checkpoint) for _, each in phone.received)


async def test_an_agent_that_names_no_session_is_hung_up_too() -> None:
    async with a_phone_call(Emit(AgentSessionStarted())) as phone:
        await settle()
        assert phone.session.agent_session_id is None
        assert await phone.session.hangup_after_playback() is None
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1


async def test_without_a_wait_nobody_knows_what_became_of_the_audio() -> None:
    async with a_phone_call(mode="raw") as phone:
        assert (await phone.session.say_audio(said(1000))).fate is Fate.PLAYED
        began = phone.now
        assert await phone.session.hangup_after_playback(0) is Fate.PENDING
        assert phone.now == pytest.approx(began)
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1


async def test_two_who_hang_up_hang_up_once() -> None:
    async with a_phone_call(mode="raw") as phone, anyio.create_task_group() as tasks:
        await phone.session.send_audio(said(1000))
        for _ in range(2):
            tasks.start_soon(phone.session.hangup_after_playback)
        await anyio.sleep(3)
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1


async def test_a_caller_who_hangs_up_first_is_no_error() -> None:
    async with a_phone_call(Pause(1), HangUp()) as phone:
        await phone.session.send_audio(said(5000))
        assert await phone.session.hangup_after_playback() is Fate.LOST
        assert await phone.session.hangup_after_playback() is Fate.LOST


async def test_cancelled_it_does_not_hang_up() -> None:
    async with a_phone_call(mode="raw") as phone:
        await phone.session.send_audio(said(5000))
        with anyio.move_on_after(1):
            await phone.session.hangup_after_playback()
        await anyio.sleep(10)
        assert not any(isinstance(each, Hangup) for _, each in phone.received)


@pytest.mark.parametrize(("given", "seconds"), [(None, 7), (1.5, 1.5), (0, 0)])
async def test_a_platform_that_owes_the_answer_is_not_waited_for_ever(
    given: float | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_phone_call(mode="raw") as phone:
        monkeypatch.setattr(phone.platform._out, "later", lambda due, event: None)
        await phone.session.send_audio(said(2000))
        began = phone.now
        assert await phone.session.hangup_after_playback(given) is Fate.PENDING
        assert phone.now - began == pytest.approx(seconds, abs=0.01)
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1


async def test_it_hangs_up_on_a_platform_that_owes_too_many_answers() -> None:
    async with a_phone_call(mode="raw", limits=Limits(max_checkpoints=1)) as phone:
        phone.session.send_media(base64.b64encode(said(3000)).decode())
        phone.session.send_checkpoint("c")
        phone.session.send_media(base64.b64encode(said(1000)).decode())
        began = phone.now
        assert await phone.session.hangup_after_playback() is Fate.PENDING
        assert phone.now - began == pytest.approx(9, abs=0.01)
        await settle()
        assert sum(isinstance(each, Hangup) for _, each in phone.received) == 1


async def test_it_waits_for_who_speaks() -> None:
    async with a_phone_call(mode="raw") as phone, anyio.create_task_group() as tasks:
        began = phone.now
        tasks.start_soon(phone.session.say_audio, said(3000))
        await settle()
        assert await phone.session.hangup_after_playback() is Fate.PLAYED
        assert phone.now - began == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("given", [-1, "1", True, float("nan")])
async def test_a_timeout_is_seconds(given: Any) -> None:
    async with a_phone_call() as phone:
        with pytest.raises(ConfigError, match="timeout"):
            await phone.session.hangup_after_playback(given)


# --- the price ------------------------------------------------------------------------------------


async def test_a_wait_is_not_woken_by_what_does_not_concern_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    look = Conditions.look

    def counted(self: Conditions) -> None:
        nonlocal looks
        looks += 1
        look(self)

    monkeypatch.setattr(Conditions, "look", counted)
    presses = [Emit(StreamDtmf(digit="1"))] * 40
    async with a_phone_call(*presses, Pause(60)) as phone:
        assert looks == 0  # nobody waits: not even asked
        await phone.session.send_audio(said(1000))
        phone.session.send_checkpoint("c")
        wakes = 0
        sleep = anyio.sleep_forever

        async def slept() -> None:
            nonlocal wakes
            try:
                await sleep()
            finally:
                wakes += 1

        monkeypatch.setattr(anyio, "sleep_forever", slept)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(phone.session.wait_played, "c")
            for _ in range(40):
                await anyio.sleep(0.01)
                phone.session.send_media("////")
        assert looks >= 40
        assert wakes == 1
