"""Plivo voice agents on asyncio and trio: a WebSocket server around :mod:`plivo_core`."""

from plivo_anyio._app import VoiceApp
from plivo_anyio._asgi import AsgiApp
from plivo_anyio._middleware import WebhookMiddleware
from plivo_anyio._platform import place_call, run_scenario
from plivo_anyio._session import CallSession
from plivo_anyio._stats import ServerStats

__all__ = [
    "AsgiApp",
    "CallSession",
    "ServerStats",
    "VoiceApp",
    "WebhookMiddleware",
    "place_call",
    "run_scenario",
]
