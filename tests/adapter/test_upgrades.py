"""Who may open a call: stream tokens, the signature of the upgrade, browsers, and open doors."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

import pytest

from plivo_anyio import VoiceApp
from plivo_anyio._upgrades import UpgradeChecks, warn_if_open
from plivo_core import ConfigError, Request
from plivo_core.webhooks import AnswerCallback, AnswerXml, MemoryStore, Stream, StreamTokens
from tests.adapter._caller import calling, serving
from tests.adapter._http import serving_with
from tests.adapter._signed import a_new_hook, an_app, posts, status_of_upgrade
from tests.webhooks._hooks import MAIN_TOKEN, PUBLIC, Hook, a_verifier

pytestmark = pytest.mark.anyio

KEY = secrets.token_bytes(32)


def some_tokens(**options: Any) -> StreamTokens:
    return StreamTokens([KEY], secrets.token_bytes, **options)


async def upgrade(port: int, target: str = "/call", headers: Any = ()) -> int:
    """The status that an upgrade gets."""
    headers = tuple((name.lower(), value) for name, value in headers)
    async with calling(port, target=target, upgraded=False, headers=headers) as caller:
        return await status_of_upgrade(caller)


def target_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def an_upgrade(signed_url: str | None = None, **options: Any) -> Hook:
    """A signed GET of /call."""
    return a_new_hook(method="GET", target="/call", signed_url=signed_url, **options)


# --- acceptance 4 ---------------------------------------------------------------------------------


async def test_a_spent_expired_or_forged_token_is_refused_and_the_next_good_one_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, tokens = an_app(), some_tokens()
    app.require_stream_token(tokens)
    async with serving(app) as port:
        spent = target_of(app.stream_url("wss://agent.example.com/call"))
        assert await upgrade(port, spent) == 101
        expired = some_tokens().mint(wall_now=time.time() - tokens.ttl - 1)
        other = StreamTokens([secrets.token_bytes(32)], secrets.token_bytes)
        forged = other.mint(wall_now=time.time())
        refused = {
            "spent": spent,
            "expired": f"/call?token={expired}",
            "forged": f"/call?token={forged}",
            "missing": "/call",
            "repeated": f"/call?token={forged}&token={forged}",
        }
        for reason, target in refused.items():
            caplog.clear()
            assert await upgrade(port, target) == 403, reason
            assert "refused GET /call with 403" in caplog.text
            assert forged not in caplog.text
        good = target_of(app.stream_url("wss://agent.example.com/call?tenant=42"))
        assert good.startswith("/call?tenant=42&token=")
        assert await upgrade(port, good) == 101


async def test_an_answer_carries_a_url_that_opens_one_call() -> None:
    app = an_app()
    app.require_stream_token(some_tokens(), parameter="t")

    @app.webhook("/voice", AnswerCallback)
    def answer(call: AnswerCallback) -> AnswerXml:
        return AnswerXml(Stream(app.stream_url("wss://agent.example.com/call")))

    async with serving(app) as port:
        hook = a_new_hook()
        body = (await posts(port, hook)).body.decode()
        target = target_of(body[body.index("wss://") :].partition("</Stream>")[0])
        assert target.startswith("/call?t=")
        assert await upgrade(port, target) == 101
        assert await upgrade(port, target) == 403


async def test_a_token_is_spent_only_by_an_upgrade_that_all_else_allows() -> None:
    allowed = [False, True]

    async def authorize(request: Request) -> bool:
        return allowed.pop(0)

    app = an_app(authorize=authorize)
    app.require_stream_token(some_tokens())
    app.require_upgrade_signature()
    async with serving(app) as port:
        url = app.stream_url(f"{PUBLIC}/call")
        target, signed = target_of(url), a_new_hook(method="GET", target=target_of(url))
        assert await upgrade(port, target) == 403  # unsigned
        assert await upgrade(port, target, [*signed.headers, ("Origin", "https://x")]) == 403
        assert await upgrade(port, target, signed.headers) == 403  # authorize says no
        assert await upgrade(port, target, signed.headers) == 101


async def test_a_shared_store_is_asked_in_a_thread_and_its_failure_refuses() -> None:
    threads, broken = set[int](), list[bool]()

    class Shared(MemoryStore):
        """Not the one that may be called on the loop."""

    class Database:
        memory = Shared()

        def add(self, *args: Any, **options: Any) -> bytes | None:
            threads.add(threading.get_ident())
            if broken:
                raise OSError("no database")
            return self.memory.add(*args, **options)

        replace = discard = None

    store: Any = Database()
    app = an_app()
    app.require_stream_token(some_tokens(store=store))
    async with serving(app) as port:
        target = target_of(app.stream_url("wss://agent.example.com/call"))
        assert await upgrade(port, target) == 101
        assert threading.get_ident() not in threads
        broken.append(True)
        assert await upgrade(port, target_of(app.stream_url("wss://a.example/call"))) == 403


async def test_there_is_no_url_before_there_are_tokens() -> None:
    app = VoiceApp()
    with pytest.raises(ConfigError, match="require_stream_token"):
        app.stream_url("wss://agent.example.com/call")
    app.require_stream_token(some_tokens())
    for url in ("wss://a.example/?token=x", "wss://a.example/#x", "wss://a.example/?%ff"):
        with pytest.raises(ConfigError, match="the URL"):
            app.stream_url(url)


# --- signatures (PROTOCOL.md D-20) ----------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["wss", "https", "ws", "http"])
async def test_an_upgrade_signed_over_any_of_four_urls_is_taken(scheme: str) -> None:
    app = an_app()
    app.require_upgrade_signature()
    async with serving(app) as port:
        signed = an_upgrade(f"{scheme}://hooks.example.com/call")
        assert await upgrade(port, headers=signed.headers) == 101


async def test_an_upgrade_that_is_not_signed_or_not_with_our_token_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = an_app()
    app.require_upgrade_signature(a_verifier(tokens=MAIN_TOKEN))
    async with serving(app) as port:
        assert await upgrade(port) == 403
        assert await upgrade(port, headers=an_upgrade().headers) == 403
        good = an_upgrade(token=MAIN_TOKEN)
        assert await upgrade(port, "/call?x=1", good.headers) == 403
        assert await upgrade(port, headers=good.headers) == 101
    assert "there is no signature header" in caplog.text
    assert "no signature matches" in caplog.text


async def test_a_required_signature_without_a_token_to_check_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    app = VoiceApp()
    app.require_upgrade_signature()
    with pytest.raises(ConfigError, match="no token"):
        await app.serve("127.0.0.1", 0)


async def test_a_signature_may_be_required_late_and_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    app = an_app()
    async with serving(app) as port:
        assert await upgrade(port) == 101
        for _ in range(2):
            app.require_upgrade_signature()
            assert await upgrade(port) == 403
            assert await upgrade(port, headers=an_upgrade().headers) == 101
    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    without_a_token = VoiceApp(path="/call")
    async with serving(without_a_token) as port:
        without_a_token.require_upgrade_signature()
        assert await upgrade(port) == 403


async def test_a_nonce_opens_one_call_and_none_if_it_was_a_webhooks() -> None:
    app = an_app()
    app.require_upgrade_signature()

    @app.webhook("/call", methods=("GET", "POST"))
    async def answer(hook: object) -> None: ...

    async with serving(app) as port:
        signed = an_upgrade()
        assert await upgrade(port, headers=signed.headers) == 101
        assert await upgrade(port, headers=signed.headers) == 403
        assert (await posts(port, signed)).status == 403
        webhook = an_upgrade(f"{PUBLIC}/call")
        assert (await posts(port, webhook)).status == 200
        assert await upgrade(port, headers=webhook.headers) == 403


async def test_a_trusted_proxy_says_which_host_the_upgrade_was_for() -> None:
    signed = an_upgrade("wss://other.example/call").with_header("X-Forwarded-Host", "other.example")
    for trusted, status in (("127.0.0.0/8", 101), ("10.0.0.7", 403)):
        app = an_app(webhooks=a_verifier(trusted_proxies=[trusted]))
        app.require_upgrade_signature()
        async with serving(app) as port:
            assert await upgrade(port, headers=signed.headers) == status


# --- browsers -------------------------------------------------------------------------------------


async def test_an_upgrade_with_an_origin_is_refused_unless_it_is_allowed() -> None:
    mine, other = ("Origin", "https://app.example"), ("Origin", "https://evil.example")
    async with serving(an_app()) as port:
        assert await upgrade(port, headers=[mine]) == 403
        assert await upgrade(port) == 101
    for allowed in (["https://app.example"], "https://app.example"):
        app = an_app(allowed_origins=allowed)
        async with serving(app) as port:
            assert await upgrade(port, headers=[mine]) == 101
            for headers in ([other], [mine, other], [("Origin", "https://app")], [("Origin", "")]):
                assert await upgrade(port, headers=headers) == 403
    signed = an_app(allowed_origins=["https://app.example"])
    signed.require_upgrade_signature()
    async with serving(signed) as port:
        assert await upgrade(port, headers=[mine]) == 403
        assert await upgrade(port, headers=[mine, *an_upgrade().headers]) == 101


# --- open doors -----------------------------------------------------------------------------------


async def anybody(request: Request) -> bool:
    return True


async def test_an_open_app_on_all_interfaces_warns_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = an_app()
    app.mount(an_app(path="/guarded", authorize=anybody))
    app.mount(an_app(path="/other"))
    async with serving(app):
        assert "anybody" not in caplog.text
    async with serving_with(app, "0.0.0.0", 0):
        warned = [record.message for record in caplog.records if "anybody" in record.message]
    assert [message.partition(" can open a call on ")[2][:6] for message in warned] == [
        "/call:",
        "/other",
    ]


@pytest.mark.parametrize(
    ("host", "warns"),
    [("0.0.0.0", True), ("::", True), ("192.0.2.7", True), ("127.0.0.9", False), ("::1", False),
     ("/run/agent.sock", False)],
)  # fmt: skip
def test_only_an_address_that_others_reach_is_worth_a_warning(
    host: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = VoiceApp()
    warn_if_open([(None, app._upgrades)], ["127.0.0.1", host])
    assert ("a call on every path" in caplog.text) == warns


def test_each_of_the_three_checks_closes_the_door() -> None:
    def checks(**options: Any) -> UpgradeChecks:
        return VoiceApp(**options)._upgrades

    with_token, with_signature = VoiceApp(), VoiceApp()
    with_token.require_stream_token(some_tokens())
    with_signature.require_upgrade_signature()
    assert checks().is_open
    assert checks(allowed_origins=["https://app.example"]).is_open
    assert not checks(authorize=anybody).is_open
    assert not with_token._upgrades.is_open
    assert not with_signature._upgrades.is_open
