"""WebhookMiddleware in front of an ASGI application, driven as a server would, on both backends.

The example under uvicorn is in tests/examples.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from plivo_anyio import WebhookMiddleware
from plivo_core import ConfigError, Limits
from plivo_core.webhooks import ReplayGuard
from tests.adapter._caller import PATIENCE
from tests.adapter._signed import a_new_hook
from tests.webhooks._hooks import PUBLIC, TOKEN, Hook, a_hook, a_verifier

pytestmark = pytest.mark.anyio

SIG = "X-Plivo-Signature-V3"
Messages = list[dict[str, Any]]


@dataclass
class Application:
    """Answers with the size of the body, in two pieces; remembers what reached it."""

    status: int = 200
    size: int = 0
    seen: list[tuple[bytes, Any]] = field(default_factory=list)
    afterwards: Callable[[], Awaitable[object]] | None = None
    error: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message["type"] == "http.request"
        assert message["more_body"] is False
        self.seen.append((message["body"], scope["plivo.hook"]))
        if self.error is not None:
            raise self.error
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"size ", "more_body": True})
        text = str(len(message["body"])).encode() + b"." * self.size
        await send({"type": "http.response.body", "body": text})
        if self.afterwards is not None:
            await self.afterwards()


async def sends(
    app: Any,
    hook: Hook,
    *,
    pieces: Sequence[bytes] | None = None,
    client: Any = ("127.0.0.1", 7),
    raw_path: bool = True,
) -> tuple[int, bytes]:
    """One HTTP request; what came back."""
    path, _, query = hook.target.partition("?")
    scope = {
        "type": "http",
        "method": hook.method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in hook.headers],
        "client": client,
    }
    if raw_path:
        scope["raw_path"] = path.encode()
    waiting = [hook.body] if pieces is None else list(pieces)
    answer: Messages = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await anyio.sleep_forever()
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting or pieces)}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    with anyio.fail_after(PATIENCE):
        await app(scope, receive, send)
    body = b"".join(message["body"] for message in answer[1:])
    return answer[0]["status"], body


async def test_what_plivo_signed_reaches_the_application_whole() -> None:
    inner = Application()
    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook(target="/voice?x=%20")
    assert await sends(app, hook) == (200, b"size %d" % len(hook.body))
    [(body, seen)] = inner.seen
    assert body == hook.body
    assert (seen.scheme, dict(seen.query), seen.form["CallUUID"]) == ("v3", {"x": " "}, "c-1")
    plain = a_new_hook(target="/caf%C3%A9")
    assert (await sends(app, plain))[0] == 200
    # A server without raw_path: the path is put together again from the decoded one.
    assert (await sends(app, replace(a_new_hook(), target="/voice"), raw_path=False))[0] == 200


async def test_anything_else_is_refused_before_the_application_sees_it() -> None:
    inner = Application()
    app = WebhookMiddleware(inner, a_verifier())
    good = a_new_hook()
    for bad, status in (
        (a_new_hook(token="guess"), 403),
        (good.with_header(SIG), 403),
        (replace(good, body=b"a=b"), 403),
        (good.with_header("Content-Type", "text/plain"), 415),
        (good.with_header("Content-Length", "65537"), 413),
        (replace(good, method="PUT"), 405),
    ):
        assert await sends(app, bad) == (status, b"")
    assert inner.seen == []


async def test_what_the_head_gives_away_is_refused_before_the_body_comes() -> None:
    app = WebhookMiddleware(Application(), a_verifier())
    unsigned = a_new_hook().with_header(SIG)
    assert await sends(app, unsigned, pieces=[b""]) == (403, b"")  # more would never come


async def test_a_body_is_counted_while_it_comes_and_must_come_in_time() -> None:
    inner = Application()
    app = WebhookMiddleware(
        inner, a_verifier(limits=Limits(max_webhook_body=100)), body_timeout=0.05
    )
    assert await sends(app, a_new_hook(), pieces=[b"a" * 60] * 2) == (413, b"")
    assert await sends(app, a_new_hook(), pieces=[b"a"]) == (408, b"")
    assert inner.seen == []


async def test_a_client_that_goes_away_is_not_answered() -> None:
    inner = Application()
    app = WebhookMiddleware(inner, a_verifier())

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in a_new_hook().headers]
    scope = {"type": "http", "method": "POST", "path": "/voice", "headers": headers}
    await app(scope, receive, send)
    assert inner.seen == []


async def test_a_replay_gets_the_same_answer_and_another_body_none() -> None:
    inner = Application(size=10)
    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook([("a", "bc")])
    assert await sends(app, hook) == await sends(app, hook) == (200, b"size 4" + b"." * 10)
    shifted = a_hook([("ab", "c")], nonce=hook.header(SIG + "-Nonce"))
    assert await sends(app, shifted) == (403, b"")
    assert len(inner.seen) == 1


async def test_an_answer_is_sent_by_messages_that_can_be_remembered() -> None:
    seen, headers = list[Any](), list[Any]()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(sorted(scope["extensions"]))
        framed = [(b"Transfer-Encoding", b"chunked"), (b"x-name", b"kept")]
        await send({"type": "http.response.start", "status": 200, "headers": framed})
        await send({"type": "http.response.body", "body": b"<Response/>"})

    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook()
    extensions = {
        f"http.response.{name}": {} for name in ("pathsend", "zerocopysend", "trailers", "push")
    }

    async def with_extensions(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            headers.extend([message["headers"]] if "headers" in message else [])
            await send(message)

        await app({**scope, "extensions": {**extensions, "tls": {}}}, receive, noting)

    for _ in range(2):
        assert await sends(with_extensions, hook) == (200, b"<Response/>")
    assert seen == [["http.response.push", "tls"]]
    assert headers[1] == [(b"x-name", b"kept"), (b"content-length", b"11")]


async def test_an_answer_too_large_to_keep_passes_once() -> None:
    inner = Application(size=200)
    app = WebhookMiddleware(inner, a_verifier(), replay_guard=ReplayGuard(max_answer=100))
    hook = a_new_hook()
    assert len((await sends(app, hook))[1]) > 200
    assert await sends(app, hook) == (403, b"")


@pytest.mark.parametrize("failure", ["raises", "5xx"])
async def test_a_request_that_failed_may_come_again(failure: str) -> None:
    inner = Application(status=503) if failure == "5xx" else Application(error=KeyError("x"))
    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook()
    if failure == "5xx":
        assert (await sends(app, hook))[0] == 503
    else:
        with pytest.raises(KeyError):
            await sends(app, hook)
    inner.status, inner.error = 200, None
    assert (await sends(app, hook))[0] == 200
    assert len(inner.seen) == 2


async def test_a_background_task_does_not_hold_a_repetition_up() -> None:
    inner, sent, release = Application(), anyio.Event(), anyio.Event()
    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook()

    async def background() -> None:
        sent.set()
        await release.wait()

    async with anyio.create_task_group() as tasks:
        inner.afterwards = background
        tasks.start_soon(sends, app, hook)
        with anyio.fail_after(PATIENCE):
            await sent.wait()
        assert (await sends(app, hook))[0] == 200
        release.set()
    assert len(inner.seen) == 1


async def test_a_repetition_that_overtakes_the_application_is_asked_to_come_back() -> None:
    entered, release = anyio.Event(), anyio.Event()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        await release.wait()

    app = WebhookMiddleware(inner, a_verifier())
    hook = a_new_hook()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sends, app, hook)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        assert await sends(app, hook) == (503, b"")
        tasks.cancel_scope.cancel()


async def test_a_cancelled_application_leaves_the_nonce_free() -> None:
    inner: Any = Application()
    guard = ReplayGuard()
    hook = a_new_hook()

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    with anyio.move_on_after(0.05):
        await sends(WebhookMiddleware(hangs, a_verifier(), replay_guard=guard), hook)
    assert (await sends(WebhookMiddleware(inner, a_verifier(), replay_guard=guard), hook))[0] == 200


async def test_the_servers_word_on_the_peer_decides_which_proxy_is_believed() -> None:
    app = WebhookMiddleware(Application(), a_verifier(trusted_proxies=["10.0.0.7"]))
    for client, status in ((("10.0.0.7", 1), 200), (("10.0.0.8", 1), 403), (None, 403)):
        hook = a_new_hook(signed_url="https://other.example/voice")
        hook = hook.with_header("X-Forwarded-Host", "other.example")
        assert (await sends(app, hook, client=client))[0] == status


async def test_other_scopes_pass_as_they_are() -> None:
    seen = list[Any]()

    async def inner(*arguments: Any) -> None:
        seen.append(arguments)

    app = WebhookMiddleware(inner, a_verifier())
    for kind in ("lifespan", "websocket"):
        arguments: Any = ({"type": kind}, object(), object())
        await app(*arguments)
        assert seen.pop() == arguments


async def test_json_explain_and_unsigned_are_options(caplog: pytest.LogCaptureFixture) -> None:
    inner = Application()
    app = WebhookMiddleware(inner, a_verifier(), json=True, explain=True)
    assert (await sends(app, a_new_hook(members={"call_uuid": "c-1"})))[0] == 200
    assert (await sends(app, a_new_hook(signed_url="http://hooks.example.com/voice")))[0] == 403
    assert "because: scheme" in caplog.text
    assert "may be unsigned" not in caplog.text
    app = WebhookMiddleware(inner, a_verifier(), unsigned=True)
    assert "may be unsigned" in caplog.text
    assert (await sends(app, a_new_hook(token="guess")))[0] == 200
    assert inner.seen[-1][1].scheme == "unsigned"


def test_the_environment_makes_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_PUBLIC_URL", PUBLIC)
    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="no token"):
        WebhookMiddleware(Application())
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", TOKEN)
    app = WebhookMiddleware(Application())
    assert TOKEN not in repr(vars(app))
