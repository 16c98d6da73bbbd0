"""``<Stream>``: how a call's audio comes to us (PROTOCOL.md 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from plivo_core._redact import redact_setting
from plivo_core.errors import ConfigError
from plivo_core.session import MediaFormat
from plivo_core.webhooks._arguments import (
    METHODS,
    Method,
    optional_bool,
    optional_choice,
    optional_pairs,
    optional_url,
    optional_whole,
    require_text,
    require_url,
    wrong_type,
)
from plivo_core.webhooks._xml import Verb

__all__ = ["Stream"]

_MULAW = MediaFormat("audio/x-mulaw", 8000)
_FORMATS = (_MULAW, MediaFormat("audio/x-l16", 8000), MediaFormat("audio/x-l16", 16000))
_MAX_URL = 2048  # characters, PROTOCOL.md 14
_MAX_EXTRA_HEADERS = 512  # bytes, PROTOCOL.md 13


class Stream(Verb):
    """Stream the call's audio to the WebSocket at ``url`` .

    With ``bidirectional`` (false) we may send audio too, and ``audio_track`` (inbound) cannot be
    anything else. ``media_format`` is always written, since sources name different defaults: it is
    what ``session.media_format`` will be. ``extra_headers``, alphanumeric and together at most 512
    bytes, come back with the stream's ``start``. With ``keep_call_alive`` (false) the verbs after
    this one wait for the end of the stream, which comes after ``stream_timeout`` s (86400) at the
    latest. ``noise_cancellation`` (false) has a ``noise_cancellation_level`` of 60 to 100 (85).
    """

    __slots__ = ()
    name = "Stream"

    def __init__(
        self,
        url: str,
        *,
        bidirectional: bool | None = None,
        audio_track: Literal["inbound", "outbound", "both"] | None = None,
        media_format: MediaFormat = _MULAW,
        extra_headers: Mapping[str, str] | None = None,
        keep_call_alive: bool | None = None,
        stream_timeout: int | None = None,
        status_callback_url: str | None = None,
        status_callback_method: Method | None = None,
        noise_cancellation: bool | None = None,
        noise_cancellation_level: int | None = None,
    ) -> None:
        address = require_url(url, "url of Stream", ("ws", "wss"))
        tracks = ("inbound", "outbound", "both")
        level = optional_whole(
            noise_cancellation_level, "noise_cancellation_level of Stream", 60, 100
        )
        super().__init__(
            {
                "bidirectional": optional_bool(bidirectional, "bidirectional of Stream"),
                "audioTrack": optional_choice(audio_track, "audio_track of Stream", tracks),
                "contentType": _content_type(media_format),
                "extraHeaders": optional_pairs(
                    extra_headers, "extra_headers of Stream", most=_MAX_EXTRA_HEADERS
                ),
                "keepCallAlive": optional_bool(keep_call_alive, "keep_call_alive of Stream"),
                "streamTimeout": optional_whole(stream_timeout, "stream_timeout of Stream", 1),
                "statusCallbackUrl": optional_url(
                    status_callback_url, "status_callback_url of Stream"
                ),
                "statusCallbackMethod": optional_choice(
                    status_callback_method, "status_callback_method of Stream", METHODS
                ),
                "noiseCancellation": optional_bool(
                    noise_cancellation, "noise_cancellation of Stream"
                ),
                "noiseCancellationLevel": level,
            },
            text=require_text(address, "url of Stream", most=_MAX_URL),
        )
        if bidirectional and audio_track not in (None, "inbound"):
            raise ConfigError("audio_track of Stream must be 'inbound' when it is bidirectional")
        if level is not None and not noise_cancellation:
            raise ConfigError(
                "noise_cancellation_level of Stream has no effect without noise_cancellation",
                hint="set noise_cancellation=True",
            )

    def _shown_text(self) -> object:
        return redact_setting("url", self._text)


def _content_type(value: object) -> str:
    if not isinstance(value, MediaFormat):
        raise wrong_type(value, "media_format of Stream", "a MediaFormat")
    if value not in _FORMATS:
        raise ConfigError(
            "media_format of Stream must be audio/x-mulaw at 8000 Hz, "
            "or audio/x-l16 at 8000 or 16000 Hz"
        )
    return f"{value.content_type};rate={int(value.sample_rate)}"
