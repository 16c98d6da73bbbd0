"""The caller's packets: base64 in, audio out, in order, and what is missing between them.

Driven by whoever reads the stream's events. Plays nothing, waits for nothing and never reorders: a
packet that comes late is dropped, for those behind it have been handed out.
"""

from __future__ import annotations

from typing import NamedTuple

from plivo_core.audio._convert import Converter
from plivo_core.audio._format import AudioFormat
from plivo_core.codec import decode_base64
from plivo_core.errors import AudioError

__all__ = ["AudioFrame", "CallerAudio"]

# Twenty seconds of packets. No gap on one connection is longer, and no packet later: such a step
# is a sender that counts anew, or a number that is none. It also bounds what a number can claim.
_MOST_MISSING = 1000


class AudioFrame(NamedTuple):
    """One packet of the caller's audio, usually 20 ms."""

    data: bytes
    """Of :attr:`format`. Resampled it may be a millisecond or two short at first: the filter's."""
    format: AudioFormat
    missing: int
    """Packets that should have been between the frame before and this one, and are lost."""
    timestamp: str
    """As the platform sent it: text, whose epoch it leaves open (PROTOCOL.md 9.2)."""


class CallerAudio:
    """Decodes the packets of one stream of ``format``, and converts them if a ``target`` is given.

    What is missing is told by ``chunk``, which counts media packets in steps of one. A packet
    without it goes by ``sequence_number``, which all events of a stream share: then :meth:`skip`
    must be told of the others. Without both, the order of arrival is all there is. The first packet
    begins the numbering, and so does one after a packet without a number. More than 1,000 packets
    forward or back are a new numbering, too: nothing is missing, nothing is late.
    """

    __slots__ = (
        "_chunk",
        "_converter",
        "_gap",
        "_sequence",
        "_skipped",
        "format",
        "invalid",
        "missing",
        "repeated",
        "target",
    )

    def __init__(self, format: AudioFormat, target: AudioFormat | None = None) -> None:
        self.format = format
        self.target = target or format
        self._converter = None if self.target == format else Converter(format, self.target)
        self._chunk: int | None = None  # the last one
        self._sequence: int | None = None  # likewise, of any event of the stream
        self._skipped = 0  # gaps between numbers, in front of events other than audio
        self._gap = 0  # in front of packets that could not be read
        self.missing = 0
        """Packets that never came."""
        self.repeated = 0
        """Packets that came again, or after a later one."""
        self.invalid = 0
        """Packets that could not be read; they are not missing."""

    def feed(
        self,
        payload: str,
        *,
        format: AudioFormat | None = None,
        chunk: float | None = None,
        sequence_number: float | None = None,
        timestamp: str = "",
    ) -> AudioFrame | None:
        """The next packet, its ``payload`` in base64; None if it is repeated, late or unreadable.

        Unreadable: no strict base64, empty, or half a sample at the end. Numbers that cannot count
        packets (fractions, negative or infinite ones) are no numbers. Raises AudioError, with
        nothing counted, when ``format`` is said and is not the stream's.
        """
        if format is not None and format != self.format:
            raise AudioError(
                f"a packet of {format} came in a stream of {self.format}",
                hint="the format of a stream never changes: this packet is of another",
            )
        missing = self._place(_number(chunk), _number(sequence_number))
        if missing is None:
            self.repeated += 1
            return None
        self.missing += missing
        self._gap += missing
        try:
            data = decode_base64(payload)
        except ValueError:
            data = b""
        if not data or len(data) % self.format.sample_width:
            self.invalid += 1
            return None
        if self._converter is not None:
            data = self._converter.feed(data)
        missing, self._gap = self._gap, 0
        return AudioFrame(data, self.target, missing, timestamp)

    def skip(self, sequence_number: float | None) -> None:
        """An event of the stream that is no audio took this number.

        What is missing in front of it counts as audio: hardly anything else is in a stream.
        """
        number = _number(sequence_number)
        if number is None:
            return
        gap = _gap(self._sequence, number)
        if gap is not None:
            self._sequence = number
            self._skipped += gap

    def _place(self, chunk: int | None, sequence: int | None) -> int | None:
        """How many packets are missing in front of this one; None: it is repeated or late."""
        if chunk is not None:
            gap = _gap(self._chunk, chunk)
        else:
            gap = _gap(self._sequence, sequence)
            if gap is not None and sequence is not None:
                gap += self._skipped
        if gap is not None:
            self._chunk, self._sequence, self._skipped = chunk, sequence, 0
        return gap


def _number(value: float | None) -> int | None:
    """``value`` if it can number packets. Whatever JSON holds may come here."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None  # infinity and NaN are not
    return value if value is not None and value >= 0 else None


def _gap(last: int | None, number: int | None) -> int | None:
    """How many numbers are left out between the two; None: ``number`` had its turn."""
    if last is None or number is None:
        return 0
    step = number - last
    if -_MOST_MISSING <= step <= 0:
        return None
    return step - 1 if 0 < step <= _MOST_MISSING + 1 else 0
