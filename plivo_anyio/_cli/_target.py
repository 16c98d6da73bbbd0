"""Where a simulated call goes: a ``ws://`` or ``wss://`` URL, and the connection to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from anyio.abc import ByteStream

from plivo_anyio._dial import dial
from plivo_core import ConfigError

__all__ = ["Target", "client_context", "parse_url"]

_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True)
class Target:
    """The parts of the URL. ``authority`` is the Host header, ``target`` path and query."""

    host: str
    port: int
    authority: str
    target: str
    tls: ssl.SSLContext | None

    async def connect(self) -> ByteStream:
        """TCP, and TLS over it if it is ``wss``. Raises OSError (ssl.SSLError is one)."""
        return await dial(self.host, self.port, tls=self.tls or False)


def parse_url(url: str, tls: ssl.SSLContext) -> Target:
    """The target of a call. Raises ConfigError; the message shows no more than the scheme."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"this is no URL: {error}") from None
    if parts.scheme not in _PORTS:
        came = f"{parts.scheme}://" if parts.scheme else "none"
        raise ConfigError(
            f"a call goes to a ws:// or wss:// URL, and this one's scheme is {came}",
            hint="give the websocket_url of the agent, such as ws://127.0.0.1:9000/",
        )
    if not parts.hostname:
        raise ConfigError("the URL names no host")
    if "@" in parts.netloc:
        raise ConfigError(
            "the URL holds a user name or password",
            hint="use --header 'Authorization=Basic ...'",
        )
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    if not target.isascii() or " " in target:
        raise ConfigError("the URL's path or query needs percent-encoding")
    return Target(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        authority=parts.netloc,
        target=target,
        tls=tls if parts.scheme == "wss" else None,
    )


def client_context(ca_file: str | None, *, insecure: bool) -> ssl.SSLContext:
    """What certificates to believe. Raises OSError for a file that holds none."""
    context = ssl.create_default_context(cafile=ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
