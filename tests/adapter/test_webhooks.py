"""app.webhook over real sockets: what is let through, what the handler gets, what Plivo gets."""

from __future__ import annotations

import logging
import socket
import statistics
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from plivo_anyio import VoiceApp
from plivo_core import ConfigError, Limits, Response, Timings
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    HangupCallback,
    MemoryStore,
    ReplayGuard,
    Speak,
    Verified,
)
from tests.adapter._caller import PATIENCE, serving
from tests.adapter._http import ask, serving_with
from tests.adapter._signed import a_new_hook, an_app, posts
from tests.webhooks._hooks import FORM, MAIN_TOKEN, PUBLIC, TOKEN, a_hook, a_verifier

pytestmark = pytest.mark.anyio

SIG = "X-Plivo-Signature-V3"
HELLO = AnswerXml(Speak("Hello & welcome."))


@asynccontextmanager
async def answering(**options: Any) -> AsyncIterator[tuple[int, list[AnswerCallback]]]:
    """An app that greets on /voice; gives its port and the callbacks that its handler saw."""
    app, seen = an_app(), list[AnswerCallback]()

    @app.webhook("/voice", AnswerCallback, **options)
    async def answer(call: AnswerCallback) -> AnswerXml:
        seen.append(call)
        return HELLO

    async with serving(app) as port:
        yield port, seen


# --- acceptance 4 ---------------------------------------------------------------------------------


async def test_a_good_callback_reaches_its_handler_and_gets_its_xml() -> None:
    async with answering() as (port, seen):
        answer = await posts(port, a_new_hook())
        assert (answer.status, answer.body) == (200, bytes(HELLO))
        assert answer.headers["content-type"] == "application/xml"
        [call] = seen
        assert (call.call_uuid, call.from_) == ("c-1", "+14155550101")


async def test_a_bad_callback_gets_an_empty_403_and_nobody_sees_it() -> None:
    async with answering() as (port, seen):
        good = a_new_hook()
        for bad in (
            a_new_hook(token="guess"),
            good.with_header(SIG),
            replace(good, body=good.body + b"&Admin=1"),
            replace(good, target="/voice?a=1"),
        ):
            answer = await posts(port, bad)
            assert (answer.status, answer.body) == (403, b"")
        assert seen == []
        assert (await posts(port, good)).status == 200


async def test_a_replay_is_handled_once_and_another_body_is_refused() -> None:
    async with answering() as (port, seen):
        hook = a_new_hook([("a", "bc")])
        first, again = await posts(port, hook), await posts(port, hook)
        assert (again.status, again.body) == (first.status, first.body) == (200, bytes(HELLO))
        assert again.headers["content-type"] == "application/xml"
        # Signs the same text: only the guard can tell.
        shifted = a_hook([("ab", "c")], nonce=hook.header(SIG + "-Nonce"))
        assert shifted.header(SIG) == hook.header(SIG)
        refused = await posts(port, shifted)
        assert (refused.status, refused.body) == (403, b"")
        assert len(seen) == 1


async def test_a_body_over_the_cap_is_413() -> None:
    async with answering() as (port, seen):
        assert (
            await posts(port, a_new_hook([("a", "b" * Limits().max_webhook_body)]))
        ).status == 413
        assert (await posts(port, a_new_hook([("a", "")] * 1001))).status == 413  # fields
        assert seen == []


async def test_a_good_callback_is_not_delayed_by_a_hundred_slow_senders() -> None:
    async with answering() as (port, seen), AsyncExitStack() as stack:
        head = f"POST /voice HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 99\r\n"
        for number in range(100):
            slow = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            # Half of them stop in the head, the others in the body.
            await slow.send(f"{head}\r\na=".encode() if number % 2 else head.encode())
        delays = []
        for _ in range(20):
            began = time.perf_counter()
            assert (await posts(port, a_new_hook())).status == 200
            delays.append(time.perf_counter() - began)
        assert len(seen) == 20
        assert statistics.median(delays) <= 0.050


# --- what the handler gets and gives --------------------------------------------------------------


async def test_a_handler_answers_with_xml_text_bytes_a_response_or_nothing() -> None:
    app = an_app()

    @app.webhook("/text")
    async def text(hook: Verified) -> str:
        return "<Response/>"

    @app.webhook("/bytes")
    def data(hook: Verified) -> bytes:
        return b"<Response/>"

    @app.webhook("/whole")
    async def whole(hook: Verified) -> Response:
        return Response(status=202, headers=(("x-mine", "1"),), body=b"later")

    @app.webhook("/nothing", "message_status")
    def nothing(callback: Any) -> None:
        assert type(callback).__name__ == "MessageStatus"

    async with serving(app) as port:
        for target in ("/text", "/bytes"):
            answer = await posts(port, a_new_hook(target=target))
            assert (answer.status, answer.body) == (200, b"<Response/>")
            assert answer.headers["content-type"] == "application/xml"
        answer = await posts(port, a_new_hook(target="/whole"))
        assert (answer.status, answer.headers["x-mine"], answer.body) == (202, "1", b"later")
        answer = await posts(port, a_new_hook(target="/nothing"))
        assert (answer.status, answer.body) == (200, b"")


async def test_without_a_kind_the_handler_gets_the_hook_and_a_get_its_query() -> None:
    app, seen = an_app(), list[Verified]()

    @app.webhook("/voice", methods=("GET", "POST"))
    async def answer(hook: Verified) -> None:
        seen.append(hook)

    async with serving(app) as port:
        assert (await posts(port, a_new_hook(target="/voice?x=1"))).status == 200
        assert (await posts(port, a_new_hook(method="GET", target="/voice?b=2&a=1"))).status == 200
    assert [(hook.method, hook.params.pairs[0]) for hook in seen] == [
        ("POST", ("CallUUID", "c-1")),
        ("GET", ("b", "2")),
    ]


async def test_json_is_read_where_the_route_asks_for_it() -> None:
    app, seen = an_app(), list[HangupCallback]()

    @app.webhook("/hangup", HangupCallback, json=True)
    async def over(callback: HangupCallback) -> None:
        seen.append(callback)

    members = {"call_uuid": "c-1", "duration": 87}
    async with serving(app) as port:
        assert (await posts(port, a_new_hook(members=members, target="/hangup"))).status == 200
        bare = replace(a_new_hook(members=members, target="/hangup"), headers=[])
        bare = bare.with_header("Content-Type", "application/json")
        assert (await posts(port, bare)).status == 403
    assert seen == [HangupCallback(call_uuid="c-1", duration=87)]


async def test_an_unsigned_route_takes_anything_and_says_so_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, seen = an_app(), list[str]()

    @app.webhook("/replaced", unsigned=True)
    async def signed(hook: Verified) -> None: ...

    app.webhook("/replaced", replace=True)(signed)

    @app.webhook(
        "/s3cret/hangup", HangupCallback, methods=("GET", "POST"), json=True, unsigned=True
    )
    async def over(callback: HangupCallback) -> None:
        seen.append(callback.call_uuid)

    json = (("content-type", "application/json"),)
    async with serving(app) as port:
        assert caplog.text.count("the webhook /s3cret/hangup takes unsigned requests") == 1
        assert "/replaced" not in caplog.text
        for _ in range(2):  # no nonce, no replay
            answer = await ask(
                port, "/s3cret/hangup", "POST", body=b'{"call_uuid":"c-1"}', headers=json
            )
            assert answer.status == 200
    assert seen == ["c-1", "c-1"]


# --- what goes wrong ------------------------------------------------------------------------------


async def test_a_handler_that_raises_gives_500_and_plivos_repetition_is_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, calls = an_app(), list[str]()

    @app.webhook("/async")
    async def fails(hook: Verified) -> str:
        calls.append("async")
        if calls.count("async") == 1:
            raise RuntimeError("the secret")
        return "<Response/>"

    @app.webhook("/sync")
    def fails_too(hook: Verified) -> Any:
        calls.append("sync")
        return 7 if calls.count("sync") == 1 else "<Response/>"

    async with serving(app) as port:
        for target in ("/async", "/sync"):
            hook = a_new_hook(target=target)
            first = await posts(port, hook)
            assert (first.status, first.body) == (500, b"internal server error\n")
            assert (await posts(port, hook)).body == b"<Response/>"
            assert (await posts(port, hook)).body == b"<Response/>"
    assert calls == ["async", "async", "sync", "sync"]
    assert "expected AnswerXml, str, bytes, Response or None" in caplog.text


async def test_an_answer_that_http_cannot_carry_is_no_answer() -> None:
    app, answers = an_app(), ["two\r\nlines", "one"]

    @app.webhook("/voice")
    async def answer(hook: Verified) -> Response:
        return Response(headers=(("x-name", answers.pop(0)),))

    async with serving(app) as port:
        hook = a_new_hook()
        assert (await posts(port, hook)).status == 500
        assert (await posts(port, hook)).headers["x-name"] == "one"


async def test_an_answer_of_5xx_is_not_remembered() -> None:
    app, statuses = an_app(), [503, 200]

    @app.webhook("/voice")
    async def answer(hook: Verified) -> Response:
        return Response(status=statuses.pop(0))

    async with serving(app) as port:
        hook = a_new_hook()
        assert [(await posts(port, hook)).status for _ in range(3)] == [503, 200, 200]


async def test_a_handler_that_takes_too_long_is_cancelled_and_may_be_asked_again() -> None:
    app, calls = an_app(timings=Timings(handler=0.4)), list[int]()
    release = threading.Event()

    @app.webhook("/voice")
    async def slow(hook: Verified) -> str:
        calls.append(1)
        if len(calls) == 1:
            await anyio.sleep_forever()
        return "<Response/>"

    @app.webhook("/sync")
    def hangs(hook: Verified) -> str:
        release.wait(PATIENCE)
        return "<Response/>"

    try:
        async with serving(app) as port:
            cancelled, abandoned = a_new_hook(), a_new_hook(target="/sync")
            assert (await posts(port, cancelled)).status == 504
            assert (await posts(port, cancelled)).status == 200
            assert (await posts(port, abandoned)).status == 504
            release.set()
            assert (await posts(port, abandoned)).status == 200
    finally:
        release.set()


async def test_a_repetition_that_overtakes_the_handler_is_asked_to_come_back() -> None:
    app, entered, release = an_app(), anyio.Event(), anyio.Event()

    @app.webhook("/voice")
    async def answer(hook: Verified) -> str:
        entered.set()
        await release.wait()
        return "<Response/>"

    async with serving(app) as port, anyio.create_task_group() as tasks:
        hook, statuses = a_new_hook(), list[int]()

        async def first() -> None:
            statuses.append((await posts(port, hook)).status)

        tasks.start_soon(first)
        with anyio.fail_after(PATIENCE):
            await entered.wait()
        second = await posts(port, hook)
        assert (second.status, second.headers["retry-after"], second.body) == (503, "1", b"")
        release.set()
    assert statuses == [200]


class SharedStore:
    """As a database would be: asked from threads, and out of order on demand."""

    def __init__(self) -> None:
        self._memory = MemoryStore()
        self._lock = threading.Lock()
        self.threads = set[int]()
        self.broken = ""

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if name == self.broken:
                raise OSError("no database")
            with self._lock:
                self.threads.add(threading.get_ident())
                return getattr(self._memory, name)(*args, **options)

        return call


async def test_two_workers_that_share_a_store_handle_a_request_once() -> None:
    store, calls = SharedStore(), list[int]()
    workers = []
    for number in range(2):
        app = an_app(replay_guard=ReplayGuard(store=store))

        @app.webhook("/voice")
        async def answer(hook: Verified, number: int = number) -> str:
            calls.append(number)
            return "<Response/>"

        workers.append(app)
    async with serving(workers[0]) as one, serving(workers[1]) as other:
        hook = a_new_hook()
        assert (await posts(one, hook)).body == (await posts(other, hook)).body == b"<Response/>"
    assert calls == [0]
    assert store.threads
    assert threading.get_ident() not in store.threads


async def test_a_store_that_fails_lets_nothing_in_and_holds_no_answer_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, calls = SharedStore(), list[int]()
    app = an_app(replay_guard=ReplayGuard(store=store))

    @app.webhook("/voice")
    async def answer(hook: Verified) -> str:
        calls.append(1)
        return "<Response/>"

    async with serving(app) as port:
        store.broken = "add"
        assert (await posts(port, a_new_hook())).status == 500
        assert calls == []
        store.broken = "replace"
        assert (await posts(port, a_new_hook())).body == b"<Response/>"
    assert "could not be remembered" in caplog.text


async def test_a_store_that_fails_does_not_hide_what_ended_the_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SharedStore()
    app = an_app(replay_guard=ReplayGuard(store=store), timings=Timings(handler=0.1))

    @app.webhook("/voice")
    async def hangs(hook: Verified) -> None:
        await anyio.sleep_forever()

    store.broken = "discard"
    async with serving(app) as port:
        assert (await posts(port, a_new_hook())).status == 504
    assert "could not be forgotten" in caplog.text


# --- configuration --------------------------------------------------------------------------------


async def test_the_environment_makes_the_verifier_when_the_app_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = VoiceApp(path="/call")

    @app.webhook("/voice")
    async def answer(hook: Verified) -> None: ...

    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("PLIVO_PUBLIC_URL", PUBLIC)
    with pytest.raises(ConfigError, match="no token to verify webhooks with"):
        await app.serve("127.0.0.1", 0)
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "")  # empty equals unset
    with pytest.raises(ConfigError, match="no token to verify webhooks with"):
        await app.serve("127.0.0.1", 0)
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("PLIVO_PUBLIC_URL", "")
    with pytest.raises(ConfigError, match="public_url"):
        await app.serve("127.0.0.1", 0)
    monkeypatch.setenv("PLIVO_PUBLIC_URL", PUBLIC)
    async with serving(app) as port:
        assert (await posts(port, a_new_hook())).status == 200


async def test_a_route_may_have_a_verifier_of_its_own() -> None:
    app = an_app()
    app.mount(other := VoiceApp(path="/other", webhooks=a_verifier()))

    @app.webhook("/main", verifier=a_verifier(tokens=MAIN_TOKEN))
    async def main(hook: Verified) -> None: ...

    @other.webhook("/mounted")
    async def mounted(hook: Verified) -> None: ...

    async with serving(app) as port:
        assert (await posts(port, a_new_hook(target="/main"))).status == 403
        assert (await posts(port, a_new_hook(target="/main", token=MAIN_TOKEN))).status == 200
        assert (await posts(port, a_new_hook(target="/mounted"))).status == 200


async def test_wrong_options_show_where_they_are_written() -> None:
    app = VoiceApp()
    for options, told in (
        ({"kind": "hang_up"}, "kind must be one of"),
        ({"kind": Verified}, "kind must be"),
        ({"kind": 7}, "kind must be"),
        ({"methods": "POST"}, "methods must be a list"),
        ({"methods": ("PUT",)}, "methods must be a list"),
        ({"methods": ()}, "methods must be a list"),
    ):
        with pytest.raises(ConfigError, match=told):
            app.webhook("/voice", **options)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="path of a webhook"):
        app.webhook("voice")

    @app.webhook("/voice")
    async def voice(hook: Verified) -> None: ...

    with pytest.raises(ConfigError, match="POST /voice already"):
        app.webhook("/voice")(voice)
    with pytest.raises(ConfigError, match="POST /voice already"):
        app.http("/voice", methods=("POST",))(lambda request: "")
    app.webhook("/voice", replace=True)(voice)


@pytest.mark.parametrize("explain", [False, True])
async def test_the_log_says_why_and_with_explain_what_differs(
    explain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with answering(explain=explain) as (port, _):
        http = a_new_hook(signed_url="http://hooks.example.com/voice")
        assert (await posts(port, http)).status == 403
        stranger = a_new_hook(token="guess")
        assert (await posts(port, stranger)).status == 403
        assert (await posts(port, stranger.with_header(SIG))).status == 403
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.message.partition(":")[0] for record in records] == [
        "refused POST /voice with 403",
        *(["because"] if explain else []),
        "refused POST /voice with 403",
        *(["perhaps"] if explain else []),
        "refused POST /voice with 403",
    ]
    assert ("the signature is for http://" in caplog.text) == explain


async def test_the_address_of_the_socket_decides_whose_forwarded_headers_count() -> None:
    forwarded = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "other.example"}
    hooks = [a_new_hook(signed_url="http://other.example/voice") for _ in range(2)]
    for name, value in forwarded.items():
        hooks = [hook.with_header(name, value) for hook in hooks]
    for trusted, status in (("127.0.0.1", 200), ("10.0.0.7", 403)):
        app = an_app(webhooks=a_verifier(trusted_proxies=[trusted]))

        @app.webhook("/voice")
        async def answer(hook: Verified) -> None: ...

        async with serving(app) as port:
            assert (await posts(port, hooks.pop())).status == status


async def test_a_unix_socket_has_no_address_to_trust(tmp_path: Any) -> None:
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no UNIX sockets here")
    app = an_app(webhooks=a_verifier(trusted_proxies=["0.0.0.0/0"]))

    @app.webhook("/voice")
    async def answer(hook: Verified) -> None: ...

    hook = a_new_hook().with_header("X-Forwarded-Host", "other.example")
    async with serving_with(app, uds=tmp_path / "s"):
        stream = await anyio.connect_unix(str(tmp_path / "s"))
        assert (await posts(stream, hook)).status == 200  # the header is not believed
