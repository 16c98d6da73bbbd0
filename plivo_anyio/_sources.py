"""What can be said: audio in chunks from anywhere, cut to frames of the stream's format.

Sources wait, block or fail as they like, so nothing here touches the call. plivo_core.audio is
imported where it is used: a server without audio does not load it.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from plivo_core.audio import AudioFormat, Converter

__all__ = ["AudioSource", "BytesLike", "Cutter", "Source", "WavFile", "bytes_of"]

BytesLike: TypeAlias = bytes | bytearray | memoryview
AudioSource: TypeAlias = BytesLike | Iterable[BytesLike] | AsyncIterable[BytesLike]

_SLICE_MS = 200  # converted at once: some milliseconds of the loop's time
_CLOSING = 1.0  # seconds a source may take to close while its task is being cancelled
_FIRST_BLOCK = 4096  # bytes of a file: the head, before it is known what a second takes


def bytes_of(audio: object) -> bytes:
    """A chunk as bytes, copied unless it is bytes already. Raises TypeError naming the type."""
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", audio))
    raise TypeError(f"audio must be bytes-like, not {type(audio).__name__}")


class Source:
    """An AudioSource, whatever its kind; raises TypeError for what is none."""

    def __init__(self, source: object) -> None:
        self._source = source
        self._later: AsyncIterator[object] | None = None
        self._now: Iterator[object] | None = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._now = iter((bytes(cast("bytes", source)),))
        elif isinstance(source, AsyncIterable):
            self._later = aiter(cast("AsyncIterable[object]", source))
        elif isinstance(source, Iterable) and not isinstance(source, str):
            self._now = iter(cast("Iterable[object]", source))
        else:
            raise TypeError(
                "audio must be bytes-like, or an iterable or async iterable of that, not"
                f" {type(source).__name__}"
            )

    async def next(self) -> bytes | None:
        """The next chunk; None at the end. Raises what the source does, TypeError for a chunk."""
        try:
            if self._later is not None:
                return bytes_of(await anext(self._later))
            assert self._now is not None
            return bytes_of(next(self._now))
        except (StopIteration, StopAsyncIteration):
            return None

    async def aclose(self) -> None:
        """Close what can be closed, also while the task is being cancelled."""
        iterator = self._now if self._later is None else self._later
        closers = [_closer(iterator)]
        if self._source is not iterator:
            closers.append(_closer(self._source))
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + _CLOSING):
            for close in closers:
                if close is not None and inspect.isawaitable(closing := close()):
                    await closing


def _closer(source: object) -> Any:
    return getattr(source, "aclose", None) or getattr(source, "close", None)


class Cutter:
    """Chunks of ``given`` in, frames of 20 ms of ``wanted`` out."""

    def __init__(self, given: AudioFormat, wanted: AudioFormat) -> None:
        from plivo_core.audio import Converter, Framer

        self._converter = Converter(given, wanted)
        self._framer = Framer(wanted)
        self._slice = given.frame_bytes(_SLICE_MS)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The frames it completes; computed as they are taken, so that a chunk may be long."""
        for start in range(0, len(chunk), self._slice):
            yield from self._framer.feed(self._converter.feed(chunk[start : start + self._slice]))

    def flush(self) -> Iterator[bytes]:
        """The last frames, padded. Raises AudioError for audio that ends within a sample."""
        yield from self._framer.feed(self._converter.flush())
        if (last := self._framer.flush(pad=True)) is not None:
            yield last


class WavFile:
    """The audio of a WAV file in ``wanted``, about a second at a time; an async iterator.

    All but waiting happens in threads. A cancellation may leave a thread reading: it then closes
    the file itself.
    """

    def __init__(self, path: str | os.PathLike[str], wanted: AudioFormat) -> None:
        from plivo_core.audio import WavReader

        self._path = path
        self._wanted = wanted
        self._reader = WavReader()
        self._converter: Converter | None = None  # once the format is known
        self._file: BinaryIO | None = None
        self._size = _FIRST_BLOCK
        self._reading = threading.Lock()
        self._closed = False

    def __aiter__(self) -> WavFile:
        return self

    async def __anext__(self) -> bytes:
        """Raises OSError for the file, AudioError for what is in it."""
        audio = await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True)
        if not audio:
            raise StopAsyncIteration
        return audio

    def close(self) -> None:
        """Close the file, now or when the thread that reads it is done."""
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._reading.release()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self) -> bytes:
        """In a thread: the next audio, ``b""`` at the end."""
        try:
            with self._reading:
                audio = b""
                while not audio and not self._closed:
                    if self._file is None:
                        self._file = open(os.fspath(self._path), "rb")  # noqa: SIM115
                    block = b"" if self._reader.finished else self._file.read(self._size)
                    audio = self._audio(block)
                    if not block:
                        self._closed = True
                return audio
        finally:
            if self._closed:
                self._close()

    def _audio(self, block: bytes) -> bytes:
        from plivo_core.audio import Converter, Wav

        reader = self._reader
        if not block:
            reader.end()
            return b"" if self._converter is None else self._converter.flush()
        audio = reader.feed(block)
        if (format := reader.format) is None:
            return b""
        if self._converter is None:
            self._converter = Converter(format, self._wanted)
            self._size = format.frame_bytes(1000) * reader.channels
        return self._converter.feed(Wav(format, reader.channels, audio).mono())
