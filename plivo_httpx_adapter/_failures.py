"""What each httpx exception means for a request: why it failed, and whether Plivo may have it.

One table, so that the question "may this be sent again?" is answered in one place. A test compares
it with ``httpx.TransportError.__subclasses__()`` and fails when httpx adds one.
"""

from __future__ import annotations

from typing import TypeAlias

import httpx

from plivo_core.rest import Cause, Sent

__all__ = ["BROKEN_BODY", "CLASSIFIED", "FAILURES", "broken_by", "classify"]

Failure: TypeAlias = "tuple[Cause, Sent]"

FAILURES = (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL)
"""What an attempt may raise; anything else is a bug, ours or the application's, and propagates."""

BROKEN_BODY = (httpx.TransportError, httpx.DecodingError)
"""After the head these are no loss: the status is known, and the core decides what it is worth."""

CLASSIFIED: dict[type[Exception], Failure] = {
    # Before a connection exists nothing has left.
    httpx.ConnectError: (Cause.CONNECT, Sent.NO),
    httpx.ConnectTimeout: (Cause.TIMEOUT, Sent.NO),
    httpx.PoolTimeout: (Cause.TIMEOUT, Sent.NO),
    httpx.ProxyError: (Cause.CONNECT, Sent.NO),  # the proxy refused to open the tunnel
    # From the first byte on nobody knows what Plivo has read. httpx itself goes on to read the
    # answer after a failed write, since servers may answer early.
    httpx.TimeoutException: (Cause.TIMEOUT, Sent.MAYBE),
    httpx.ReadTimeout: (Cause.TIMEOUT, Sent.MAYBE),
    httpx.WriteTimeout: (Cause.TIMEOUT, Sent.MAYBE),
    httpx.NetworkError: (Cause.BROKEN, Sent.MAYBE),
    httpx.ReadError: (Cause.BROKEN, Sent.MAYBE),
    httpx.WriteError: (Cause.BROKEN, Sent.MAYBE),
    httpx.CloseError: (Cause.BROKEN, Sent.MAYBE),
    httpx.ProtocolError: (Cause.BROKEN, Sent.MAYBE),
    httpx.RemoteProtocolError: (Cause.BROKEN, Sent.MAYBE),
    httpx.DecodingError: (Cause.BROKEN, Sent.MAYBE),  # a Content-Encoding that lies
    # Our fault by its name, but over HTTP/2 the server's too: what httpcore's h2 refuses to process
    # comes out as this, after the request has left.
    httpx.LocalProtocolError: (Cause.REFUSED, Sent.MAYBE),
    # The request itself: refused before the first byte, and it would be again.
    httpx.UnsupportedProtocol: (Cause.REFUSED, Sent.NO),
    httpx.InvalidURL: (Cause.REFUSED, Sent.NO),
    # A transport of the application's own: assume the worst.
    httpx.TransportError: (Cause.BROKEN, Sent.MAYBE),
}


def broken_by(error: Exception) -> Cause:
    """What broke a body off, for one of :data:`BROKEN_BODY`."""
    return Cause.TIMEOUT if isinstance(error, httpx.TimeoutException) else Cause.BROKEN


def classify(error: Exception) -> Failure:
    """Cause and sent of one of :data:`FAILURES`; a subclass unknown to us counts as its parent."""
    return next(CLASSIFIED[kind] for kind in type(error).__mro__ if kind in CLASSIFIED)
