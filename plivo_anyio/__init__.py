"""Plivo voice agents on asyncio and trio: a WebSocket server around :mod:`plivo_core`."""

from plivo_anyio._app import VoiceApp
from plivo_anyio._platform import place_call
from plivo_anyio._session import CallSession

__all__ = ["CallSession", "VoiceApp", "place_call"]
