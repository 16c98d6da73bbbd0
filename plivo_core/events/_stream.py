"""The six messages of an audio stream (PROTOCOL.md 9.2), with or without an agent.

Metadata names each field's place on the wire. Of several places the first that can be read counts:
the platform's own before the forms that agent SDKs know (flat members, ``type`` and ``rate``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import cast

from plivo_core.codec import decode_base64
from plivo_core.events._base import AUDIO, SECRET, StreamEvent, at, stream_event
from plivo_core.events._headers import read_extra_headers
from plivo_core.events._readers import Number, read_text_or_number

__all__ = [
    "DEFAULT_RATE",
    "ClearedAudio",
    "PlayedStream",
    "StreamDtmf",
    "StreamMedia",
    "StreamStart",
    "StreamStop",
    "new_packet",
]

DEFAULT_RATE = 8000  # Hz; what is meant when nothing is said (PROTOCOL.md D-22)
_HEADERS = at("extra_headers", read=read_extra_headers)
_SEQUENCE = at("sequenceNumber")
_STREAM_ID = at("streamId")


@stream_event("start")
class StreamStart(StreamEvent):
    """First message of a stream: its ids, format (``sample_rate`` in Hz) and headers."""

    stream_id: str = field(default="", metadata=at("streamId", "start.streamId"))
    call_id: str = field(default="", metadata=at("start.callId"))
    account_id: str = field(default="", metadata=at("start.accountId"))
    tracks: Sequence[str] = field(default_factory=list[str], metadata=at("start.tracks"))
    content_type: str = field(
        default="", metadata=at("start.mediaFormat.encoding", "start.mediaFormat.type")
    )
    sample_rate: Number = field(
        default=DEFAULT_RATE, metadata=at("start.mediaFormat.sampleRate", "start.mediaFormat.rate")
    )
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str], metadata=_HEADERS)


@stream_event("media")
class StreamMedia(StreamEvent):
    """A packet of audio, usually 20 ms. ``content_type`` and ``sample_rate`` (Hz) are rarely sent:
    trust those of ``start``. ``timestamp`` is text whose epoch the platform leaves open."""

    payload: str = field(default="", metadata=at("media.payload", "payload", mask=AUDIO))
    content_type: str = field(default="", metadata=at("media.contentType"))
    sample_rate: Number = field(default=DEFAULT_RATE, metadata=at("media.sampleRate"))
    timestamp: str = field(default="", metadata=at("media.timestamp", read=read_text_or_number))
    track: str = field(default="", metadata=at("media.track"))
    chunk: Number | None = field(default=None, metadata=at("media.chunk"))
    stream_id: str = field(default="", metadata=_STREAM_ID)
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str], metadata=_HEADERS)

    def decode(self) -> bytes:
        """The audio bytes of ``payload``, encoded as the stream's format says.

        Strict base64 of the standard alphabet. Raises :class:`ValueError` (``binascii.Error``, or
        its parent for text that is not ASCII) when the peer sent anything else. Every call decodes
        anew.
        """
        return decode_base64(self.payload)


def _setter(name: str) -> Callable[[StreamMedia, object], None]:
    return cast("Callable[[StreamMedia, object], None]", getattr(StreamMedia, name).__set__)


_new = object.__new__
_set_payload = _setter("payload")
_set_content_type = _setter("content_type")
_set_sample_rate = _setter("sample_rate")
_set_timestamp = _setter("timestamp")
_set_track = _setter("track")
_set_chunk = _setter("chunk")
_set_stream_id = _setter("stream_id")
_set_sequence_number = _setter("sequence_number")
_set_extra_headers = _setter("extra_headers")
_set_extra = _setter("extra")


def new_packet(
    payload: str,
    timestamp: str,
    track: str,
    chunk: int,
    stream_id: str,
    sequence_number: int,
    extra_headers: Mapping[str, str],
) -> StreamMedia:
    """A StreamMedia with the usual members, in a third of the time its ``__init__`` takes.

    A frozen dataclass sets each field through ``object.__setattr__``; the slots' own setters are
    what that ends in.
    """
    event = _new(StreamMedia)
    _set_payload(event, payload)
    _set_content_type(event, "")
    _set_sample_rate(event, DEFAULT_RATE)
    _set_timestamp(event, timestamp)
    _set_track(event, track)
    _set_chunk(event, chunk)
    _set_stream_id(event, stream_id)
    _set_sequence_number(event, sequence_number)
    _set_extra_headers(event, extra_headers)
    _set_extra(event, {})
    return event


@stream_event("dtmf")
class StreamDtmf(StreamEvent):
    """Caller pressed a key, told by the stream; with an agent, ``user.dtmf`` tells it too."""

    digit: str = field(default="", metadata=at("dtmf.digit", "digit", mask=SECRET))
    track: str = field(default="", metadata=at("dtmf.track"))
    timestamp: str = field(default="", metadata=at("dtmf.timestamp", read=read_text_or_number))
    stream_id: str = field(default="", metadata=_STREAM_ID)
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str], metadata=_HEADERS)


@stream_event("playedStream")
class PlayedStream(StreamEvent):
    """All audio sent before the checkpoint ``name`` has been played."""

    name: str = field(default="", metadata=at("name"))
    stream_id: str = field(default="", metadata=_STREAM_ID)
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)


@stream_event("clearedAudio")
class ClearedAudio(StreamEvent):
    """Our ``clearAudio`` was carried out: what was queued there will not be played."""

    stream_id: str = field(default="", metadata=_STREAM_ID)
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)


@stream_event("stop")
class StreamStop(StreamEvent):
    """The stream is over. Undocumented, and may be missing: the close of the connection counts."""

    stream_id: str = field(default="", metadata=_STREAM_ID)
    sequence_number: Number | None = field(default=None, metadata=_SEQUENCE)
