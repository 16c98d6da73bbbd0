"""`say_audio`: its pace, its interruptions, its sources; in virtual time."""

from __future__ import annotations

import base64
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
import trio

from plivo_anyio import Spoken
from plivo_core import (
    AudioError,
    ConfigError,
    Fate,
    Limits,
    LocalProtocolError,
    SessionClosedError,
)
from plivo_core.audio import ALAW_8K, MULAW_8K, PCM_8K, PCM_16K, PCM_24K, Converter
from plivo_core.commands import Checkpoint, ClearAudio
from plivo_core.events import ClearedAudio, StreamStart
from plivo_core.platform import Emit, HangUp, Pause
from tests.adapter._virtual import Doing, Phone, a_phone_call, ms_of, said, settle, virtual_backend

pytestmark = pytest.mark.anyio

anyio_backend = virtual_backend


def is_spoken(spoken: Any, sent_ms: float, heard_ms: float, fate: Fate | None) -> bool:
    """Whether it is that, to the millisecond."""
    assert spoken.sent_ms == pytest.approx(sent_ms, abs=0.001)
    assert spoken.heard_ms == pytest.approx(heard_ms, abs=1)
    assert spoken.fate is fate
    return True


class ASource:
    """A synthesizer: chunks that come one after another, and a look at how it ended."""

    def __init__(self, *chunks: Any, every: float = 0.0, fails: Exception | None = None) -> None:
        self.chunks = chunks
        self.every = every
        self.fails = fails
        self.closed = 0

    async def later(self) -> AsyncIterator[Any]:
        try:
            for chunk in self.chunks:
                await anyio.sleep(self.every)
                yield chunk
            if self.fails is not None:
                raise self.fails
        finally:
            self.closed += 1
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)  # a source may have to say good-bye
            self.closed += 1

    def now(self) -> Iterator[Any]:
        try:
            yield from self.chunks
            if self.fails is not None:
                raise self.fails
        finally:
            self.closed += 2

    def of(self, kind: str) -> Any:
        return self.later() if kind == "async" else self.now()


every_kind = pytest.mark.parametrize("kind", ["async", "sync"])


def payload_of(phone: Phone) -> bytes:
    return b"".join(base64.b64decode(command.payload) for _, command in phone.audio)


# --- the pace -------------------------------------------------------------------------------------


async def test_the_first_frames_leave_at_once_and_the_others_when_they_are_due() -> None:
    async with a_phone_call() as phone:
        began = phone.now
        spoken = await phone.session.say_audio(said(1000))
        assert spoken == Spoken(1000, 1000, Fate.PLAYED)
        assert phone.now - began == pytest.approx(1.0, abs=0.01)
        assert ms_of(phone.audio) == pytest.approx([0] * 10 + [20.0 * n for n in range(1, 41)])
        leads = [lead for _, lead in phone.platform.playback.leads]
        assert leads[10:] == pytest.approx([180] * 40, abs=1)
        assert phone.platform.playback.gaps == []


@pytest.mark.parametrize("lead_ms", [0, 20, 60, 1000])
async def test_no_more_than_the_lead_is_ever_unheard(lead_ms: float) -> None:
    async with a_phone_call() as phone:
        spoken = await phone.session.say_audio(said(2000), lead_ms=lead_ms)
        assert spoken == Spoken(2000, 2000, Fate.PLAYED)
        leads = [lead for _, lead in phone.platform.playback.leads]
        assert max(leads) + 20 <= max(lead_ms, 20) + 0.01


async def test_each_frame_costs_one_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = 0
    sleep = anyio.sleep

    async def counted(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        await sleep(seconds)

    async with a_phone_call() as phone:
        monkeypatch.setattr(anyio, "sleep", counted)
        await phone.session.say_audio(said(10_000))
        assert sleeps == 490


async def test_ten_minutes_of_talk_do_not_drift() -> None:
    minute = said(60_000)
    async with a_phone_call() as phone:
        began = phone.now
        spoken = await phone.session.say_audio(iter([minute] * 10))
        assert is_spoken(spoken, 600_000, 600_000, Fate.PLAYED)
        assert phone.now - began == pytest.approx(600, abs=0.01)
        assert phone.platform.playback.gaps == []


# --- sources --------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("size", [1, 7, 160, 4000, 10_000])
async def test_chunks_of_any_size_become_frames_the_last_one_padded(kind: str, size: int) -> None:
    audio = bytes(range(250)) * 13 + b"end"  # 3253 bytes: 20 frames and 53 bytes
    source = ASource(*(audio[at : at + size] for at in range(0, len(audio), size)))
    async with a_phone_call() as phone:
        spoken = await phone.session.say_audio(source.of(kind))
        assert is_spoken(spoken, 420, 420, Fate.PLAYED)
        assert payload_of(phone) == audio + b"\xff" * 107
        assert {len(base64.b64decode(command.payload)) for _, command in phone.audio} == {160}
        assert source.closed == 2


@pytest.mark.parametrize(
    "source", [b"", bytearray(), memoryview(b""), [], [b"", b""], iter([])], ids=repr
)
async def test_an_empty_source_says_nothing(source: Any) -> None:
    async with a_phone_call() as phone:
        assert await phone.session.say_audio(source) == Spoken(0, 0, None)
        await settle()
        assert phone.received == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: [b], lambda b: (b,)])
async def test_all_that_is_bytes_like_can_be_said(kind: Any) -> None:
    async with a_phone_call() as phone:
        assert await phone.session.say_audio(kind(said(40))) == Spoken(40, 40, Fate.PLAYED)
        assert payload_of(phone) == said(40)


@pytest.mark.parametrize("format", [MULAW_8K, ALAW_8K, PCM_8K, PCM_16K, PCM_24K], ids=str)
async def test_another_format_is_converted(format: Any) -> None:
    audio = bytes(range(240)) * 10
    audio *= 2 if format.sample_width == 2 else 1
    converter = Converter(format, MULAW_8K)
    wanted = converter.feed(audio) + converter.flush()
    async with a_phone_call() as phone:
        spoken = await phone.session.say_audio(iter([audio[:999], audio[999:]]), format)
        assert payload_of(phone)[: len(wanted)] == wanted
        assert spoken.sent_ms == -(-len(wanted) // 160) * 20


async def test_a_source_is_read_no_faster_than_it_is_said() -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield said(20)

    async with a_phone_call(Pause(5), HangUp()) as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, source())
        tasks.start_soon(saying.run)
        await anyio.sleep(2)
        assert taken == pytest.approx(10 + 100, abs=2)
        await saying.over.wait()
        assert isinstance(saying.error, SessionClosedError)


@every_kind
async def test_what_a_source_raises_is_raised_and_what_was_sent_plays_on(kind: str) -> None:
    source = ASource(said(500), fails=RuntimeError("the synthesizer broke"))
    async with a_phone_call() as phone:
        with pytest.raises(RuntimeError, match="the synthesizer broke"):
            await phone.session.say_audio(source.of(kind))
        assert source.closed == 2
        await anyio.sleep(1)
        assert phone.platform.playback.heard_ms(phone.now) == 500
        assert not any(isinstance(command, ClearAudio) for _, command in phone.received)
        assert await phone.session.say_audio(said(20)) == Spoken(20, 20, Fate.PLAYED)


@pytest.mark.parametrize("chunk", ["text", 7, None])
@every_kind
async def test_a_chunk_that_is_no_audio_is_named(kind: str, chunk: Any) -> None:
    source = ASource(said(20), chunk)
    async with a_phone_call() as phone:
        with pytest.raises(TypeError, match=f"bytes-like, not {type(chunk).__name__}"):
            await phone.session.say_audio(source.of(kind))
        assert source.closed == 2


@every_kind
async def test_a_source_of_empty_chunks_leaves_the_loop_to_others(kind: str) -> None:
    source = ASource(*[b""] * 200_000)
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, source.of(kind))
        tasks.start_soon(saying.run)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        phone.session.interrupt()
        await saying.over.wait()
        assert saying.result == Spoken(0, 0, Fate.CLEARED)


@pytest.mark.parametrize("source", ["text", 7, None])
async def test_a_source_that_is_none_is_named(source: Any) -> None:
    async with a_phone_call() as phone:
        with pytest.raises(TypeError, match=type(source).__name__):
            await phone.session.say_audio(source)


async def test_half_a_sample_is_an_error_before_anything_is_sent_where_that_is_known() -> None:
    async with a_phone_call() as phone:
        with pytest.raises(AudioError, match="321 bytes"):
            await phone.session.say_audio(bytes(321), PCM_16K)
        assert phone.session.playback.expected_ms == 0
        with pytest.raises(AudioError):
            await phone.session.say_audio(iter([bytes(12_801)]), PCM_16K)
        assert phone.session.playback.expected_ms > 0


@every_kind
async def test_a_source_is_closed_when_the_call_cannot_take_it(kind: str) -> None:
    source = ASource(said(20))
    async with a_phone_call() as phone:
        for lead_ms in (-1, "1", float("nan")):
            with pytest.raises(ConfigError, match="lead_ms"):
                await phone.session.say_audio(said(20), lead_ms=lead_ms)  # type: ignore[arg-type]
        phone.driver.conn.session.media_format = None
        generator = source.of(kind)
        with pytest.raises(LocalProtocolError):
            await phone.session.say_audio(generator)
        with pytest.raises((StopIteration, StopAsyncIteration)):
            next(generator) if kind == "sync" else await anext(generator)


# --- interruptions --------------------------------------------------------------------------------


@every_kind
async def test_an_interruption_ends_it_with_what_was_heard(kind: str) -> None:
    source = ASource(*[said(100)] * 100)
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        await phone.session.say_audio(said(300))  # which does not count
        saying = Doing(phone.session.say_audio, source.of(kind))
        tasks.start_soon(saying.run)
        await anyio.sleep(2.01)
        cut, now = phone.session.interrupt(), phone.now
        await saying.over.wait()
        assert is_spoken(saying.result, 2200, 2010, Fate.CLEARED)
        assert cut.unheard_ms == pytest.approx(190, abs=1)
        assert phone.now - now < 0.01
        assert source.closed == 2
        await settle()
        assert phone.platform.playback.lead_ms(phone.now) == 0


async def test_what_was_heard_whole_counts_whole() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, [said(60)] * 40)
        tasks.start_soon(saying.run)
        await anyio.sleep(0.5)
        phone.session.interrupt()
        spoken = await phone.session.say_audio([said(60)] * 22)
        # Counting the stream in floats leaves 2e-13 ms of it.
        assert (spoken.heard_ms, spoken.sent_ms, spoken.fate) == (1320, 1320, Fate.PLAYED)


async def test_an_interruption_stops_a_source_that_has_nothing_yet() -> None:
    source = ASource(said(100), every=3600)
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, source.later())
        tasks.start_soon(saying.run)
        await anyio.sleep(1)
        phone.session.interrupt()
        await saying.over.wait()
        assert saying.result == Spoken(0, 0, Fate.CLEARED)
        assert saying.ended_at == pytest.approx(phone.now)
        assert source.closed == 2


async def test_a_source_that_interrupts_is_asked_no_further() -> None:
    async with a_phone_call() as phone:
        asked = 0

        def source() -> Iterator[bytes]:
            nonlocal asked
            while asked < 1000:
                if asked == 5:
                    phone.session.interrupt()
                asked += 1
                yield said(20)

        spoken = await phone.session.say_audio(source())
        assert is_spoken(spoken, 100, 0, Fate.CLEARED)
        assert asked == 6


async def test_an_interruption_ends_the_wait_for_the_fate() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, said(1000))
        tasks.start_soon(saying.run)
        await anyio.sleep(0.9)
        assert any(isinstance(command, Checkpoint) for _, command in phone.received)
        phone.session.clear_audio()
        await saying.over.wait()
        assert is_spoken(saying.result, 1000, 900, Fate.CLEARED)


@pytest.mark.parametrize(
    "event",
    [
        ClearedAudio(),
        StreamStart(stream_id="s-2", content_type="audio/x-mulaw", sample_rate=8000),
    ],
    ids=["clearedAudio", "start"],
)
async def test_what_the_platform_throws_away_ends_it_too(event: Any) -> None:
    async with a_phone_call(Pause(1), Emit(event), Pause(60)) as phone:
        began = phone.now
        spoken = await phone.session.say_audio(said(10_000))
        assert spoken.fate is Fate.CLEARED
        assert spoken.heard_ms == pytest.approx(1000, abs=1)
        assert phone.now - began == pytest.approx(1, abs=0.01)
        again = await phone.session.say_audio(said(500))  # in the second stream, if there is one
        assert (again.sent_ms, again.heard_ms) == (500, pytest.approx(500))


async def test_what_others_say_after_an_interruption_does_not_count_as_heard() -> None:
    class Slow:
        """Takes its time to be cancelled."""

        asked = 0

        def __aiter__(self) -> Slow:
            return self

        async def __anext__(self) -> bytes:
            self.asked += 1
            if self.asked == 1:
                return said(1000)
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.5)
            raise AssertionError

    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(functools.partial(phone.session.say_audio, Slow(), lead_ms=1000))
        tasks.start_soon(saying.run)
        await anyio.sleep(0.4)
        phone.session.interrupt()
        phone.session.send_media(base64.b64encode(said(2000)).decode())
        await saying.over.wait()
        assert is_spoken(saying.result, 1000, 400, Fate.CLEARED)


async def test_an_interruption_also_ends_what_waits_for_its_turn() -> None:
    source = ASource(said(100))
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        first = Doing(phone.session.say_audio, said(10_000))
        second = Doing(phone.session.say_audio, source.later())
        for each in (first, second):
            tasks.start_soon(each.run)
            await settle()
        await anyio.sleep(1)
        phone.session.interrupt()
        await first.over.wait()
        await second.over.wait()
        assert is_spoken(first.result, 1200, 1000, Fate.CLEARED)
        assert second.result == Spoken(0, 0, Fate.CLEARED)
        assert await phone.session.say_audio(said(20)) == Spoken(20, 20, Fate.PLAYED)


async def test_two_utterances_queue_without_a_pause_and_count_apart() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        both = [Doing(phone.session.say_audio, said(1000, value=value)) for value in (1, 2)]
        for each in both:
            tasks.start_soon(each.run)
            await settle()
        for each in both:
            await each.over.wait()
            assert is_spoken(each.result, 1000, 1000, Fate.PLAYED)
        assert payload_of(phone) == said(1000, value=1) + said(1000, value=2)
        assert phone.platform.playback.gaps == []
        names = [each.name for _, each in phone.received if isinstance(each, Checkpoint)]
        assert names == ["say-1", "say-2"]


async def test_names_that_are_pending_are_skipped() -> None:
    async with a_phone_call() as phone:
        phone.session.send_media("////")
        phone.session.send_checkpoint("say-1")
        await phone.session.say_audio(said(20))
        names = [each.name for _, each in phone.received if isinstance(each, Checkpoint)]
        assert names == ["say-1", "say-2"]


# --- cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.5, 2.9])  # while it sends, while it waits for the fate
async def test_cancelling_interrupts(after: float) -> None:
    source = ASource(*[said(100)] * 30)
    async with a_phone_call() as phone:
        with anyio.move_on_after(after) as scope:
            await phone.session.say_audio(source.later())
        assert scope.cancelled_caught
        assert source.closed == 2
        await settle()
        assert sum(isinstance(command, ClearAudio) for _, command in phone.received) == 1
        heard = phone.platform.playback.heard_ms(phone.now)
        assert heard == pytest.approx(after * 1000, abs=1)
        assert not phone.driver.conditions


class AConnection:
    """A source that says good-bye when it is closed; it never ends by itself."""

    def __init__(self, takes: float) -> None:
        self.takes = takes
        self.closed = False

    def __aiter__(self) -> AConnection:
        return self

    async def __anext__(self) -> bytes:
        return said(20)

    async def aclose(self) -> None:
        await anyio.sleep(self.takes)
        self.closed = True


@pytest.mark.parametrize(("takes", "closed"), [(0.9, True), (3600, False)])
async def test_a_cancelled_source_has_a_second_to_close(takes: float, closed: bool) -> None:
    source = AConnection(takes)
    async with a_phone_call() as phone:
        began = phone.now
        with anyio.move_on_after(0.5):
            await phone.session.say_audio(source)
        assert source.closed == closed
        assert phone.now - began == pytest.approx(0.5 + min(takes, 1))
        # The interruption did not wait for it.
        assert phone.platform.playback.heard_ms(phone.now) == pytest.approx(500, abs=1)


async def test_cancelling_a_source_that_runs_tasks_interrupts(anyio_backend_name: str) -> None:
    class WithTasks:
        asked = 0

        def __aiter__(self) -> WithTasks:
            return self

        async def __anext__(self) -> bytes:
            self.asked += 1
            if self.asked == 1:
                return said(5000)
            if anyio_backend_name == "trio":  # the nursery lets out a group of cancellations
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    nursery.start_soon(trio.sleep_forever)
            await anyio.sleep_forever()
            raise AssertionError

    async with a_phone_call() as phone:
        with anyio.move_on_after(3):
            await phone.session.say_audio(WithTasks(), lead_ms=30_000)
        await settle()
        assert sum(isinstance(command, ClearAudio) for _, command in phone.received) == 1
        assert phone.platform.playback.heard_ms(phone.now) == pytest.approx(3000, abs=1)


async def test_cancelling_who_was_interrupted_interrupts_nobody_else() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        saying = Doing(phone.session.say_audio, said(3000))
        tasks.start_soon(saying.run)
        await anyio.sleep(1)
        phone.session.interrupt()
        phone.session.send_media("////")  # somebody speaks already
        saying.scope.cancel()
        await saying.over.wait()
        await settle()
        assert sum(isinstance(command, ClearAudio) for _, command in phone.received) == 1


async def test_cancelling_who_has_said_nothing_interrupts_nobody() -> None:
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        first = Doing(phone.session.say_audio, said(3000))
        second = Doing(phone.session.say_audio, said(3000))
        for each in (first, second):
            tasks.start_soon(each.run)
            await settle()
        await anyio.sleep(1)
        second.scope.cancel()
        await first.over.wait()
        assert is_spoken(first.result, 3000, 3000, Fate.PLAYED)
        assert not any(isinstance(command, ClearAudio) for _, command in phone.received)


async def test_cancelling_when_all_was_heard_interrupts_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_phone_call() as phone:
        monkeypatch.setattr(phone.platform._out, "later", lambda due, event: None)
        with anyio.move_on_after(2):
            await phone.session.say_audio(said(1000))
        await settle()
        assert not any(isinstance(command, ClearAudio) for _, command in phone.received)


# --- the end --------------------------------------------------------------------------------------


async def test_a_platform_that_never_answers_is_waited_for_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_phone_call() as phone:
        monkeypatch.setattr(phone.platform._out, "later", lambda due, event: None)
        began = phone.now
        spoken = await phone.session.say_audio(said(1000))
        assert is_spoken(spoken, 1000, 1000, Fate.PENDING)
        assert phone.now - began == pytest.approx(6, abs=0.01)


async def test_a_platform_that_owes_all_the_answers_it_may_is_asked_for_no_more() -> None:
    async with a_phone_call(limits=Limits(max_checkpoints=1)) as phone:
        await phone.session.send_audio(said(9000))
        phone.session.send_checkpoint("c")
        spoken = await phone.session.say_audio(said(1000), lead_ms=30_000)
        assert is_spoken(spoken, 1000, 1000, Fate.PENDING)
        assert phone.now == pytest.approx(15, abs=0.01)
        assert await phone.session.say_audio(said(20)) == Spoken(20, 20, Fate.PLAYED)


@every_kind
@pytest.mark.parametrize("at", [1.0, 4.9])
async def test_the_end_of_the_call_ends_it(kind: str, at: float) -> None:
    source = ASource(*[said(100)] * 50)
    async with a_phone_call(Pause(at), HangUp()) as phone:
        with pytest.raises(SessionClosedError):
            await phone.session.say_audio(source.of(kind))
        assert source.closed == 2
        with pytest.raises(SessionClosedError):
            await phone.session.say_audio(said(20))
