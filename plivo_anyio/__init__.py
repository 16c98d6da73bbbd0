"""Plivo voice agents on asyncio and trio: a WebSocket server around :mod:`plivo_core`."""

from importlib import import_module
from typing import TYPE_CHECKING

from plivo_anyio._app import VoiceApp
from plivo_anyio._asgi import AsgiApp
from plivo_anyio._middleware import WebhookMiddleware
from plivo_anyio._playback import Spoken
from plivo_anyio._session import CallSession
from plivo_anyio._stats import CallerAudioStats, CallStats, LaneStats, PlaybackStats, ServerStats

if TYPE_CHECKING:
    from plivo_anyio._platform import place_call, run_scenario
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

# No agent needs the simulated Plivo.
_ON_FIRST_USE = {
    "place_call": "_platform",
    "random_ids": "_platform_server",
    "run_scenario": "_platform",
    "serve_platform": "_platform_server",
}


def __getattr__(name: str) -> object:
    if name in _ON_FIRST_USE:
        return getattr(import_module(f"plivo_anyio.{_ON_FIRST_USE[name]}"), name)
    raise AttributeError(f"module 'plivo_anyio' has no attribute {name!r}")
