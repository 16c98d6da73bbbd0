"""HTTP/1.1 and WebSocket as state machines, without any idea of Plivo.

Built on h11 and wsproto, with everything in between that they leave to their users: limits,
time-outs, keepalive, the closing handshake. Useful alone (see ``examples/ws_echo.py``); typed
events and commands are one layer up, in :mod:`plivo_core.connection`.
"""

from plivo_core.wire._clock import Clock
from plivo_core.wire._messages import (
    Headers,
    Initiator,
    Rejected,
    Request,
    RequestReceived,
    Response,
    Upgraded,
    WireClosed,
)
from plivo_core.wire._peers import WebSocketClient, WebSocketServer
from plivo_core.wire._websocket import WebSocket

__all__ = [
    "Clock",
    "Headers",
    "Initiator",
    "Rejected",
    "Request",
    "RequestReceived",
    "Response",
    "Upgraded",
    "WebSocket",
    "WebSocketClient",
    "WebSocketServer",
    "WireClosed",
]
