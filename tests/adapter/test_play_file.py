"""`play_file`: WAV files through the driver, in real time, for threads know no other."""

from __future__ import annotations

import array
import base64
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from plivo_anyio import Spoken, _sources
from plivo_anyio._sources import WavFile
from plivo_core import AudioError, Fate, LocalProtocolError
from plivo_core.audio import (
    ALAW_8K,
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    Converter,
    interleave,
    wav_bytes,
)
from tests.adapter._virtual import Doing, Phone, a_phone_call, said

pytestmark = pytest.mark.anyio


def a_tone(samples: int, *, loud: int = 8000) -> bytes:
    return array.array("h", [loud * (n % 40 - 20) // 20 for n in range(samples)]).tobytes()


def a_file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "said.wav"
    path.write_bytes(content)
    return path


def payload_of(phone: Phone) -> bytes:
    return b"".join(base64.b64decode(command.payload) for _, command in phone.audio)


def open_files() -> int:
    return sum(
        os.path.realpath(f"/proc/self/fd/{n}").endswith(".wav") for n in os.listdir("/proc/self/fd")
    )


@pytest.mark.parametrize("format", [MULAW_8K, ALAW_8K, PCM_8K, PCM_16K, PCM_24K], ids=str)
async def test_a_file_of_any_format_is_heard_in_that_of_the_stream(
    tmp_path: Path, format: Any
) -> None:
    audio = a_tone(2400) if format.sample_width == 2 else bytes(range(240)) * 6
    converter = Converter(format, MULAW_8K)
    wanted = converter.feed(audio) + converter.flush()
    async with a_phone_call() as phone:
        spoken = await phone.session.play_file(a_file(tmp_path, wav_bytes(audio, format)))
        assert spoken.fate is Fate.PLAYED
        assert spoken.heard_ms == spoken.sent_ms == -(-len(wanted) // 160) * 20
        assert payload_of(phone)[: len(wanted)] == wanted
        assert open_files() == 0


async def test_two_channels_become_their_mean(tmp_path: Path) -> None:
    left, right = a_tone(1600), bytes(3200)
    mean = array.array("h", [sample >> 1 for sample in array.array("h", left)]).tobytes()
    content = wav_bytes(interleave(left, right), PCM_16K, 2)
    async with a_phone_call(content_type="audio/x-l16", sample_rate=16000) as phone:
        await phone.session.play_file(str(a_file(tmp_path, content)))
        assert payload_of(phone) == mean


async def test_a_long_file_is_read_second_by_second_off_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[int, bool]] = []
    here = threading.get_ident()

    class Counted(WavFile):
        def _read(self) -> bytes:
            audio = super()._read()
            reads.append((len(audio), threading.get_ident() == here))
            return audio

    path = a_file(tmp_path, wav_bytes(a_tone(16_000 * 10), PCM_16K))
    async with a_phone_call() as phone, anyio.create_task_group() as tasks:
        monkeypatch.setattr("plivo_anyio._playback.WavFile", Counted)
        playing = Doing(phone.session.play_file, path)
        tasks.start_soon(playing.run)
        await anyio.sleep(1.5)
        # What was read is what was said, and what the next second or so needs.
        assert 1500 * 8 <= sum(size for size, _ in reads) <= 3200 * 8
        assert len(reads) <= 4
        assert not any(on_the_loop for _, on_the_loop in reads)
        phone.session.interrupt()
        await playing.over.wait()
        assert playing.result.fate is Fate.CLEARED
        assert playing.result.heard_ms == pytest.approx(1500, abs=100)
        assert phone.platform.playback.gaps == []
        assert open_files() == 0


async def test_a_file_that_is_not_there_raises_what_open_raises(tmp_path: Path) -> None:
    async with a_phone_call() as phone:
        with pytest.raises(FileNotFoundError):
            await phone.session.play_file(tmp_path / "nothing.wav")
        with pytest.raises(IsADirectoryError):
            await phone.session.play_file(tmp_path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3" * 1000, wav_bytes(b"", MULAW_8K)[:-8]])
async def test_what_is_no_wav_file_is_an_error_before_anything_is_sent(
    tmp_path: Path, content: bytes
) -> None:
    async with a_phone_call() as phone:
        with pytest.raises(AudioError):
            await phone.session.play_file(a_file(tmp_path, content))
        assert phone.session.playback.expected_ms == 0
        assert open_files() == 0


async def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    async with a_phone_call() as phone:
        path = a_file(tmp_path, wav_bytes(b"", PCM_8K))
        assert await phone.session.play_file(path) == Spoken(0, 0, None)


async def test_a_file_that_was_cut_off_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    async with a_phone_call() as phone:
        path = a_file(tmp_path, wav_bytes(said(1000), MULAW_8K)[: 58 + 800])
        assert await phone.session.play_file(path) == Spoken(100, 100, Fate.PLAYED)


async def test_before_the_start_no_file_is_opened() -> None:
    async with a_phone_call() as phone:
        phone.driver.conn.session.media_format = None
        with pytest.raises(LocalProtocolError):
            await phone.session.play_file("/nowhere.wav")


async def test_a_cancelled_file_is_closed(tmp_path: Path) -> None:
    path = a_file(tmp_path, wav_bytes(a_tone(80_000), PCM_8K))
    async with a_phone_call() as phone:
        with anyio.move_on_after(0.3):
            await phone.session.play_file(path)
        assert open_files() == 0


@pytest.mark.parametrize("how", ["interrupted", "cancelled", "the call ends"])
async def test_a_file_that_cannot_be_read_holds_nobody_up(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path, wav_bytes(a_tone(8000), PCM_8K))
    opening, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    real_open = open

    class Noticed(WavFile):
        def _close(self) -> None:
            super()._close()
            closed.set()

    def stuck_open(*args: Any) -> Any:  # a named pipe nobody writes to, or a file server that hangs
        opening.set()
        assert go_on.wait(30)
        return real_open(*args)

    monkeypatch.setattr(_sources, "open", stuck_open, raising=False)
    monkeypatch.setattr("plivo_anyio._playback.WavFile", Noticed)
    try:
        async with a_phone_call() as phone, anyio.create_task_group() as tasks:
            playing = Doing(phone.session.play_file, path)
            tasks.start_soon(playing.run)
            await anyio.sleep(0.1)
            assert opening.wait(10)  # in a thread, to which the clock of this test is nothing
            if how == "interrupted":
                phone.session.interrupt()
            elif how == "cancelled":
                playing.scope.cancel()
            else:
                phone.session.close()
            with anyio.fail_after(5):
                await playing.over.wait()
            assert not closed.is_set()
            go_on.set()
            assert await anyio.to_thread.run_sync(closed.wait, 10)
            assert open_files() == 0
    finally:
        go_on.set()


def test_a_thread_that_reads_on_closes_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path, wav_bytes(a_tone(8000), PCM_8K))
    opened, go_on = threading.Event(), threading.Event()
    real_open = open

    def slow_open(*args: Any) -> Any:
        file = real_open(*args)
        opened.set()
        assert go_on.wait(10)
        return file

    monkeypatch.setattr(_sources, "open", slow_open, raising=False)
    source = WavFile(path, MULAW_8K)
    thread = threading.Thread(target=source._read)
    thread.start()
    assert opened.wait(10)
    source.close()  # does not wait for the thread
    assert open_files() == 1
    go_on.set()
    thread.join(10)
    assert open_files() == 0
