"""``calls``: what the platform does to any call, agent or not (PROTOCOL.md 3.8). Trailing slash."""

from __future__ import annotations

from plivo_core.rest._api import Api, nothing
from plivo_core.rest._operation import Operation
from plivo_core.rest._page import Page
from plivo_core.rest._request import passed_on, segment, without_none
from plivo_core.rest._responses import AudioStream, StreamStarted

__all__ = ["CallsResource"]


class CallsResource:
    """Hang up; start, watch and stop audio streams."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def hangup(self, call_uuid: str) -> Operation[None]:
        """End a call. NotFoundError: it is over already."""
        return self._api.operation("DELETE", f"/Call/{segment(call_uuid, 'call_uuid')}/", nothing)

    def start_stream(
        self,
        call_uuid: str,
        *,
        service_url: str,
        bidirectional: bool | None = None,
        audio_track: str | None = None,
        stream_timeout: int | None = None,
        status_callback_url: str | None = None,
        status_callback_method: str | None = None,
        content_type: str | None = None,
        extra_headers: object = None,
        noise_cancellation: bool | None = None,
        noise_cancellation_level: int | None = None,
        cx_bot: object = None,
        **other: object,
    ) -> Operation[StreamStarted]:
        """Let the platform connect the call's audio to ``service_url`` (ws or wss)."""
        body = without_none(
            service_url=service_url,
            bidirectional=bidirectional,
            audio_track=audio_track,
            stream_timeout=stream_timeout,
            status_callback_url=status_callback_url,
            status_callback_method=status_callback_method,
            content_type=content_type,
            extra_headers=extra_headers,
            noise_cancellation=noise_cancellation,
            noise_cancellation_level=noise_cancellation_level,
            cx_bot=cx_bot,
        )
        return self._api.operation(
            "POST",
            _streams(call_uuid),
            StreamStarted.read,
            body={**body, **passed_on(other)},
            look_up="look for it with calls.list_streams()",
        )

    def list_streams(self, call_uuid: str) -> Operation[Page[AudioStream]]:
        """The streams of a call."""
        return self._api.page(_streams(call_uuid), AudioStream)

    def get_stream(self, call_uuid: str, stream_id: str) -> Operation[AudioStream]:
        """One stream of a call."""
        return self._api.operation("GET", _stream(call_uuid, stream_id), AudioStream.read)

    def stop_stream(self, call_uuid: str, stream_id: str) -> Operation[None]:
        """Stop one stream; the call goes on."""
        return self._api.operation("DELETE", _stream(call_uuid, stream_id), nothing)

    def stop_streams(self, call_uuid: str) -> Operation[None]:
        """Stop all streams of the call; the call goes on."""
        return self._api.operation("DELETE", _streams(call_uuid), nothing)


def _streams(call_uuid: str) -> str:
    return f"/Call/{segment(call_uuid, 'call_uuid')}/Stream/"


def _stream(call_uuid: str, stream_id: str) -> str:
    return f"{_streams(call_uuid)}{segment(stream_id, 'stream_id')}/"
