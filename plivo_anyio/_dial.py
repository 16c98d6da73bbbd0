"""A connection to somebody of whom nothing is known: TCP, and TLS over it.

Whatever goes wrong on the way is an OSError, as a refused connection is. The caller sets the limit
of time.
"""

from __future__ import annotations

import ssl

import anyio
from anyio.abc import ByteStream

__all__ = ["dial"]


async def dial(host: str, port: int, *, tls: ssl.SSLContext | bool = False) -> ByteStream:
    """Connect; ``tls`` is a context, or True for the usual one. Raises OSError and nothing else."""
    try:
        if tls is False:
            return await anyio.connect_tcp(host, port)
        return await anyio.connect_tcp(
            host,
            port,
            tls=True,
            ssl_context=None if tls is True else tls,
            tls_standard_compatible=False,  # many end without a farewell; Close has told the end
        )
    except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise ConnectionResetError("the connection closed during the TLS handshake") from error
    except UnicodeError as error:
        raise OSError(f"this cannot be the name of a host: {host!r}") from error
