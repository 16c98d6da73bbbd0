"""An ASGI application of yours behind the verifier, under uvicorn (pip install uvicorn):

    PLIVO_AUTH_TOKEN=... PLIVO_PUBLIC_URL=https://agent.example.com \\
        python examples/webhook_middleware.py

Works the same with Starlette and FastAPI: wrap the application, or the mounted one, that holds the
webhooks and nothing else.
"""

from __future__ import annotations

import argparse
from typing import Any

import uvicorn

from plivo_anyio import WebhookMiddleware
from plivo_core.webhooks import (
    XML_CONTENT_TYPE,
    AnswerCallback,
    AnswerXml,
    Hangup,
    Speak,
    Verified,
)


async def answer_url(scope: Any, receive: Any, send: Any) -> None:
    """Greets the caller. Nothing that Plivo did not sign comes here."""
    hook: Verified = scope["plivo.hook"]
    call = AnswerCallback.parse(hook.fields)
    answer = AnswerXml(Speak(f"Hello {call.caller_name or 'stranger'}."), Hangup())
    headers = [(b"content-type", XML_CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(answer)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    app = WebhookMiddleware(answer_url)
    # proxy_headers would put the client's address in the place of the proxy's.
    uvicorn.run(
        app, host=options.host, port=options.port, lifespan="off", ws="none", proxy_headers=False
    )
