"""A voice agent behind TLS of its own, with a page for browsers and a health check on one port.

    python examples/tls_server.py --certfile cert.pem --keyfile key.pem --port 9443

Plivo connects to wss://your.host:9443/call; the certificate must be one that the world trusts.
Behind a proxy that ends TLS leave ``ssl`` out.
"""

from __future__ import annotations

import argparse
import ssl

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Request
from plivo_core.events import Dtmf

app = VoiceApp(path="/call")


@app.on(Dtmf)
async def key_pressed(session: CallSession, event: Dtmf) -> None:
    session.speak(f"You pressed {event.digit}.")


@app.http("/")
async def page(request: Request) -> str:
    return f"{app.stats.calls} calls at the moment\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--certfile", required=True, help="the certificate and its chain, PEM")
    parser.add_argument("--keyfile", help="the private key, unless certfile holds it")
    options = parser.parse_args()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certfile, options.keyfile)
    app.run(options.host, options.port, backend=options.backend, ssl=context, health="/healthz")
