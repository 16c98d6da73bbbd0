"""Plivo voice agents on asyncio and trio: a WebSocket server around :mod:`plivo_core`."""

from typing import TYPE_CHECKING

from plivo_anyio._app import VoiceApp
from plivo_anyio._asgi import AsgiApp
from plivo_anyio._middleware import WebhookMiddleware
from plivo_anyio._platform import place_call, run_scenario
from plivo_anyio._playback import Spoken
from plivo_anyio._session import CallSession
from plivo_anyio._stats import CallerAudioStats, CallStats, LaneStats, PlaybackStats, ServerStats

if TYPE_CHECKING:
    from plivo_anyio._platform_server import random_ids, serve_platform

__all__ = [
    "AsgiApp",
    "CallSession",
    "CallStats",
    "CallerAudioStats",
    "LaneStats",
    "PlaybackStats",
    "ServerStats",
    "Spoken",
    "VoiceApp",
    "WebhookMiddleware",
    "place_call",
    "random_ids",
    "run_scenario",
    "serve_platform",
]

_ON_FIRST_USE = frozenset({"random_ids", "serve_platform"})  # no agent needs the simulated account


def __getattr__(name: str) -> object:
    if name in _ON_FIRST_USE:
        from plivo_anyio import _platform_server

        return getattr(_platform_server, name)
    raise AttributeError(f"module 'plivo_anyio' has no attribute {name!r}")
