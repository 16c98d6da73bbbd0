"""WAV, pushed in piece by piece: what is audio in it, and of which format.

RIFF with the chunks of "Multimedia Programming Interface and Data Specifications 1.0" (IBM and
Microsoft, 1991) and the WAVEFORMATEXTENSIBLE of 2001. A file is hostile input like any other:
at most 64 bytes of it are held, and at most 64 KiB may come before its audio.
"""

from __future__ import annotations

import struct
from typing import Final

from plivo_core.audio._format import AudioFormat, BytesLike, Encoding
from plivo_core.errors import AudioError

__all__ = ["ENCODING_TAGS", "UNKNOWN_SIZE", "WavReader"]

ENCODING_TAGS: Final[dict[int, Encoding]] = {1: "pcm16", 6: "alaw", 7: "mulaw"}
UNKNOWN_SIZE: Final = 0xFFFFFFFF  # of a data chunk written before its end was known

_EXTENSIBLE: Final = 0xFFFE
# A subformat that only wraps a format tag is a GUID with the tag in front of this.
_TAGGED_GUID: Final = bytes.fromhex("000000001000800000aa00389b71")
_MOST_FMT: Final = 64  # bytes; the extensible one has 40, its longest known relatives 50 or so
_MOST_BEFORE_AUDIO: Final = 64 * 1024  # bytes; broadcast files have a few KiB of texts there
_EXPECTED: Final = "expected 16 bit PCM, mu-law or A-law"


class WavReader:
    """Gives the audio of a WAV file that is fed in pieces of any length.

    :meth:`feed` until the file ends, then :meth:`end`. Read are 16 bit PCM at 8000, 16000 or
    24000 Hz, mu-law and A-law at 8000 Hz, in one or two channels, also as WAVE_FORMAT_EXTENSIBLE.
    Chunks other than ``fmt `` and ``data`` are skipped; what follows the audio is ignored. A data
    chunk whose size is said to be 0 or 0xFFFFFFFF was streamed: it goes to the end of the file.

    Anything else raises AudioError, which names what was found; every later call raises it again.
    So do more than 64 bytes of ``fmt `` and more than 64 KiB in front of the audio.
    """

    __slots__ = (
        "_before_audio",
        "_ended",
        "_failure",
        "_held",
        "_in_data",
        "_left",
        "_skip",
        "channels",
        "format",
        "truncated",
    )

    def __init__(self) -> None:
        self.format: AudioFormat | None = None
        """Of each channel; None until the ``fmt `` chunk was read."""
        self.channels = 0
        """1 or 2, whose samples alternate; 0 until the ``fmt `` chunk was read."""
        self.truncated = False
        """The file ended before its audio did: within the data chunk, or within a sample."""
        self._held = b""  # of a head, or of a sample
        self._skip = 0  # bytes to come of a chunk that nobody wants
        self._before_audio = 0  # bytes, as far as announced
        self._in_data = False
        self._left: int | None = None  # bytes to come of the audio; None: till the end
        self._ended = False
        self._failure: AudioError | None = None

    @property
    def finished(self) -> bool:
        """All audio was given: the data chunk is complete, or :meth:`end` was called."""
        return self._ended or (self._in_data and self._left == 0)

    def feed(self, data: BytesLike) -> bytes:
        """The audio in ``data``, raw as in the file: whole samples, of all channels.

        Raises AudioError for what is no such file, and when :meth:`end` was called before.
        """
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise AudioError("more of a WAV file after its end() was called: use a new WavReader")
        if self._in_data:
            return self._audio(bytes(data))
        try:
            return self._head(data)
        except AudioError as error:
            self._held = b""
            self._failure = error
            raise

    def end(self) -> None:
        """The file ended. A second call does nothing.

        Raises AudioError when no audio began. Audio that is shorter than announced was given as far
        as it went, without the sample that is incomplete, and :attr:`truncated` is true.
        """
        if self._failure is not None:
            raise self._failure
        if not self._in_data:
            self._failure = AudioError("the WAV file ended before its audio began")
            raise self._failure
        if not self._ended:
            self._ended = True
            self.truncated = bool(self._held or self._left)
            self._held = b""

    def _audio(self, data: bytes) -> bytes:
        if self._left is not None:
            data = data[: self._left - len(self._held)]
        data = self._held + data
        assert self.format is not None
        whole = len(data) - len(data) % (self.format.sample_width * self.channels)
        self._held = data[whole:]
        if self._left is not None:
            self._left -= whole
        return data[:whole]

    # --- in front of the audio --------------------------------------------------------------------

    def _head(self, data: BytesLike) -> bytes:
        rest = memoryview(data).cast("B")
        while True:
            skipped = min(self._skip, len(rest))
            self._skip -= skipped
            wanted = self._wanted() - len(self._held)
            piece = rest[skipped : skipped + wanted]
            self._held += piece
            rest = rest[skipped + len(piece) :]
            if self._skip or len(piece) < wanted:
                return b""
            head, self._held = self._held, b""
            if not self._before_audio:
                self._file_head(head)
            elif len(head) > 8:
                self._fmt(head[8:])
            elif self._chunk_head(head):
                return self._audio(bytes(rest))

    def _wanted(self) -> int:
        """How long the next head is. A ``fmt `` chunk is one head, with its content."""
        if not self._before_audio:
            return 12
        if self._held[:4] == b"fmt " and len(self._held) >= 8:
            size = _size_of(self._held)
            return 8 + size + size % 2
        return 8

    def _file_head(self, head: bytes) -> None:
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            found = f"{head[:4]!r} ... {head[8:]!r}"
            raise AudioError(f"no WAV file: it begins with {found}, expected b'RIFF' ... b'WAVE'")
        self._before_audio = len(head)

    def _chunk_head(self, head: bytes) -> bool:
        """Whether it is the audio's."""
        name, size = head[:4], _size_of(head)
        if name == b"data":
            self._data(size)
            return True
        self._before_audio += 8 + size + size % 2  # a chunk of odd size is followed by a pad byte
        if self._before_audio > _MOST_BEFORE_AUDIO:
            raise AudioError(
                f"the WAV file's chunk {name!r} of {size} bytes puts more than 64 KiB in front of "
                "the audio: expected the data chunk earlier",
                hint="write the file anew, without pictures and texts",
            )
        if name != b"fmt ":
            self._skip = size + size % 2
        elif self.format is not None:
            raise AudioError("the WAV file has a second fmt chunk: expected one")
        elif not 16 <= size <= _MOST_FMT:
            raise AudioError(f"the WAV file has a fmt chunk of {size} bytes: expected 16 to 64")
        else:
            self._held = head
        return False

    def _fmt(self, fmt: bytes) -> None:
        tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fmt)
        if tag == _EXTENSIBLE:
            guid = fmt[24:40]
            if guid[2:] != _TAGGED_GUID:
                raise AudioError(f"WAV subformat {guid.hex() or 'missing'}: {_EXPECTED}")
            tag = int.from_bytes(guid[:2], "little")
        encoding = ENCODING_TAGS.get(tag)
        if encoding is None or bits != (16 if tag == 1 else 8):
            raise AudioError(f"WAV with format tag {tag} and {bits} bits per sample: {_EXPECTED}")
        if channels not in (1, 2):
            raise AudioError(f"WAV with {channels} channels: expected 1 or 2")
        if block != channels * bits // 8:
            raise AudioError(
                f"WAV with blocks of {block} bytes: expected {channels * bits // 8}, "
                f"for {channels} of {bits} bits"
            )
        self.format = AudioFormat(encoding, rate)
        self.channels = channels

    def _data(self, size: int) -> None:
        if self.format is None:
            raise AudioError("the WAV file has no fmt chunk in front of its audio: expected one")
        if size not in (0, UNKNOWN_SIZE):
            block = self.format.sample_width * self.channels
            if size % block:
                raise AudioError(
                    f"the WAV file has {size} bytes of audio: expected a multiple of {block}"
                )
            self._left = size
        self._in_data = True


def _size_of(chunk: bytes) -> int:
    return int.from_bytes(chunk[4:8], "little")
