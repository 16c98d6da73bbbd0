"""What one port serves: plain routes, several apps by path, health and statistics."""

from __future__ import annotations

import json
import threading
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, ServerStats, VoiceApp
from plivo_core import ConfigError, Limits, Rejected, Request, Response, Timings
from plivo_core.commands import Speak
from plivo_core.events import Dtmf
from tests.adapter._caller import PATIENCE, calling, serving
from tests.adapter._http import ask, serving_with, until

pytestmark = pytest.mark.anyio


def an_app(name: str, **options: Any) -> VoiceApp:
    """An app that says its name when a key is pressed."""
    app = VoiceApp(**options)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(name)

    return app


async def who_answers(port: int, target: str) -> str | int:
    """The name of the app that takes a call there, or the status of the refusal."""
    async with calling(port, target=target, upgraded=False) as caller:
        answer = await caller.receives()
        if isinstance(answer, Rejected):
            return answer.response.status
        await caller.says(Dtmf(digit="1"))
        spoken = await caller.receives()
        assert isinstance(spoken, Speak)
        return spoken.text


# --- routes ---------------------------------------------------------------------------------------


async def test_a_route_answers_with_what_its_handler_returns() -> None:
    app = VoiceApp()

    @app.http("/answer", methods=("POST",))
    async def answer(request: Request) -> Response:
        headers = (("content-type", "application/xml"),)
        return Response(status=201, headers=headers, body=b"<Response/>" + request.body)

    @app.http("/text")
    async def text(request: Request) -> str:
        return f"caf\xe9 {request.query}"

    @app.http("/bytes")
    def data(request: Request) -> bytes:
        return b"\x00\xff"

    @app.http("/nothing")
    async def nothing(request: Request) -> None:
        pass

    async with serving(app) as port:
        posted = await ask(port, "/answer", "POST", body=b"To=1")
        assert (posted.status, posted.body) == (201, b"<Response/>To=1")
        assert posted.headers["content-type"] == "application/xml"
        got = await ask(port, "/text?a=1")
        assert (got.status, got.body) == (200, "caf\xe9 a=1".encode())
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await ask(port, "/bytes")).body == b"\x00\xff"
        empty = await ask(port, "/nothing")
        assert (empty.status, empty.body) == (204, b"")


async def test_head_is_answered_from_get_without_its_body() -> None:
    app = VoiceApp()

    @app.http("/text")
    async def text(request: Request) -> str:
        return "twelve bytes"

    async with serving(app) as port:
        answer = await ask(port, "/text", "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-length"] == "12"


async def test_another_method_gets_405_and_the_ones_that_there_are() -> None:
    app = VoiceApp()

    @app.http("/both")
    async def get(request: Request) -> str:
        return "got"

    @app.http("/both", methods=("POST", "PUT"))
    async def post(request: Request) -> str:
        return "posted"

    @app.http("/both", methods=("PUT",), replace=True)
    async def put(request: Request) -> str:
        return "put"

    async with serving(app) as port:
        assert (await ask(port, "/both")).body == b"got"
        assert (await ask(port, "/both", "POST")).body == b"posted"
        assert (await ask(port, "/both", "PUT")).body == b"put"
        refused = await ask(port, "/both", "DELETE")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST, PUT")


async def test_a_path_is_compared_exactly_as_it_was_sent() -> None:
    app = VoiceApp(path="/call")

    @app.http("/caf%C3%A9")
    async def cafe(request: Request) -> str:
        return "open"

    async with serving(app) as port:
        assert (await ask(port, "/caf%C3%A9?now")).body == b"open"
        for other in ("/caf%C3%A9/", "/caf%c3%a9", "/CAF%C3%A9", "//caf%C3%A9", "/"):
            assert (await ask(port, other)).status == 404, other


async def test_a_plain_request_where_calls_arrive_is_told_to_upgrade() -> None:
    app = VoiceApp(path="/call")
    async with serving(app) as port:
        answer = await ask(port, "/call")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
    async with serving(VoiceApp()) as port:  # which takes calls everywhere
        assert (await ask(port, "/any")).status == 426


async def test_a_route_and_calls_may_share_a_path() -> None:
    app = an_app("both", path="/call")

    @app.http("/call")
    async def page(request: Request) -> str:
        return "a page"

    async with serving(app) as port:
        assert (await ask(port, "/call")).body == b"a page"
        assert await who_answers(port, "/call") == "both"


async def test_what_a_handler_does_wrong_gets_500_and_stays_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp()

    @app.http("/raises/15551234567")
    async def raises(request: Request) -> str:
        raise RuntimeError("the secret")

    @app.http("/number")
    async def number(request: Request) -> Any:
        return 7

    @app.http("/header")
    def header(request: Request) -> Response:
        return Response(headers=(("x-name", "two\r\nlines"),))

    @app.http("/length")
    def length(request: Request) -> Response:
        return Response(headers=(("content-length", "7"),))

    async with serving(app) as port:
        for path in ("/raises/15551234567?token=abc", "/number", "/header", "/length"):
            answer = await ask(port, path)
            assert (answer.status, answer.body) == (500, b"internal server error\n")
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told == [
        "the route GET /raises/***4567 failed",
        "the route GET /number failed",
        "the route GET /header failed",
        "the route GET /length failed",
    ]
    assert "returned int" in caplog.text


async def test_a_slow_handler_gets_504_and_the_port_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, release, entered = VoiceApp(timings=Timings(handler=0.05)), threading.Event(), set[str]()

    @app.http("/async")
    async def hangs(request: Request) -> None:
        await anyio.sleep_forever()

    @app.http("/sync")
    def blocks(request: Request) -> None:
        entered.add(threading.current_thread().name)
        release.wait(PATIENCE)

    async with serving(app) as port:
        try:
            assert (await ask(port, "/async")).status == 504
            assert app.stats.abandoned_handlers == 0
            assert (await ask(port, "/sync")).status == 504
            assert app.stats.abandoned_handlers == 1
            assert entered
            assert threading.current_thread().name not in entered
        finally:
            release.set()
    assert "the route GET /sync took over 0.05 s" in caplog.text


async def test_sync_handlers_that_hang_do_not_fill_the_machine_with_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, release = VoiceApp(timings=Timings(handler=0.05)), threading.Event()
    monkeypatch.setattr("plivo_anyio._routes._MAX_ABANDONED", 3)

    @app.http("/sync")
    def blocks(request: Request) -> str:
        release.wait(PATIENCE)
        return "done"

    async with serving(app) as port:
        try:
            answers = [(await ask(port, "/sync")).status for _ in range(5)]
            assert answers == [504, 504, 504, 503, 503]
            assert app.stats.abandoned_handlers == 3
        finally:
            release.set()
        with anyio.fail_after(PATIENCE):  # threads that came back count no more
            while (await ask(port, "/sync")).status == 503:
                pass


async def test_a_second_route_of_a_path_and_what_no_route_can_be_are_config_errors() -> None:
    app = VoiceApp()

    @app.http("/one")
    async def one(request: Request) -> str:
        return "one"

    with pytest.raises(ConfigError, match=r"GET /one already.*replace=True"):
        app.http("/one")(one)
    for path in ("one", "", "/a?b", "/a#b", "/a b", "/caf\xe9", "/a\\b", 7):
        with pytest.raises(ConfigError, match=r"path of a route is .*percent-encoded"):
            app.http(path)  # type: ignore[arg-type]
    for methods in ("GET", (), ("get",), ("GE T",)):
        with pytest.raises(ConfigError, match="methods of the route '/two'"):
            app.http("/two", methods=methods)(one)


# --- several apps ---------------------------------------------------------------------------------


async def test_each_app_takes_the_calls_of_its_path_and_judges_them_itself() -> None:
    async def members_only(request: Request) -> bool:
        return request.query == "key=1"

    sales, support = an_app("sales", path="/sales"), an_app("support", path="/support")
    support.mount(an_app("members", path="/members", authorize=members_only))
    sales.mount(support)
    async with serving(sales) as port:
        assert await who_answers(port, "/sales?x") == "sales"
        assert await who_answers(port, "/support") == "support"
        assert await who_answers(port, "/members?key=1") == "members"
        assert await who_answers(port, "/members") == 403
        for nobodys in ("/", "/sales/", "/Sales"):
            assert await who_answers(port, nobodys) == 404


async def test_an_app_without_a_path_takes_what_no_other_takes() -> None:
    app = an_app("rest")
    app.mount(an_app("sales", path="/sales"))
    async with serving(app) as port:
        assert await who_answers(port, "/sales") == "sales"
        assert await who_answers(port, "/anything") == "rest"


async def test_the_routes_of_a_mounted_app_come_along() -> None:
    app, other = VoiceApp(), VoiceApp(path="/other")
    app.mount(other)

    @other.http("/page")
    async def page(request: Request) -> str:
        return "of the other"

    async with serving(app) as port:
        assert (await ask(port, "/page")).body == b"of the other"
    app.http("/page")(page)
    with pytest.raises(ConfigError, match="two apps have a route GET /page"):
        await app.serve("127.0.0.1", 0)


async def test_apps_that_cannot_share_a_port_are_config_errors() -> None:
    app = VoiceApp(path="/a")
    with pytest.raises(ConfigError, match="two apps serve '/a'"):
        app.mount(VoiceApp(path="/a"))
    app.mount(VoiceApp())
    with pytest.raises(ConfigError, match="two apps serve every path"):
        app.mount(VoiceApp())
    with pytest.raises(ConfigError, match="on itself"):
        app.mount(app)
    with pytest.raises(ConfigError, match="limits of its own"):
        app.mount(VoiceApp(path="/b", limits=Limits(max_connections=1)))
    with pytest.raises(ConfigError, match="timings of its own"):
        app.mount(VoiceApp(path="/b", timings=Timings(handler=1)))
    with pytest.raises(ConfigError, match="path is 'b'"):
        VoiceApp(path="b")
    app.mount(VoiceApp(path="/b", timings=Timings()))  # the same ones are fine


# --- health and statistics ------------------------------------------------------------------------


async def test_health_answers_by_option() -> None:
    app = VoiceApp(path="/call")
    async with serving_with(app, "127.0.0.1", 0, health="/healthz") as (_, port):
        answer = await ask(port, "/healthz?verbose")
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})
        assert answer.headers["content-type"] == "application/json"
        assert (await ask(port, "/healthz", "HEAD")).body == b""
        assert (await ask(port, "/healthz", "POST")).headers["allow"] == "GET, HEAD"
        assert (await ask(port, "/stats")).status == 404
    async with serving(app) as port:
        assert (await ask(port, "/healthz")).status == 404


async def test_statistics_count_what_happens() -> None:
    app, release = VoiceApp(path="/call", limits=Limits(media_lane_ms=20)), anyio.Event()

    @app.on("media")
    async def heard(session: CallSession, event: object) -> None:
        await release.wait()

    @app.http("/page")
    async def page(request: Request) -> str:
        return "a page"

    async with serving_with(app, "127.0.0.1", 0, stats="/stats") as (_, port):
        assert app.stats == ServerStats()
        async with calling(port, target="/call") as caller:
            media = '{"event":"media","media":{"payload":"' + "A" * 216 + '"}}'
            await caller.says(media)
            await until(lambda: app.stats.calls == 1)
            await caller.says(media, media, media)
            await until(lambda: app.stats.dropped_media)
            dropped = app.stats.dropped_media
            await ask(port, "/page")
            assert await who_answers(port, "/nobody") == 404
            shown = json.loads((await ask(port, "/stats")).body)
            assert shown["calls"] == shown["accepted"] == shown["refused"] == 1
            assert shown["requests"] == 2
            assert (shown["draining"], shown["half_open"]) == (False, 0)
            assert shown["dropped_media"] == dropped
            release.set()
            await caller.closes()
        await until(lambda: app.stats.connections == 0)
        assert (app.stats.calls, app.stats.accepted) == (0, 1)
        assert app.stats.dropped_media == dropped


async def test_health_and_stats_need_paths_of_their_own() -> None:
    app = VoiceApp()

    @app.http("/page")
    async def page(request: Request) -> str:
        return "a page"

    for options, told in (
        ({"health": "healthz"}, "health is 'healthz'"),
        ({"health": "/page"}, "route of app.http"),
        ({"stats": "/page"}, "route of app.http"),
        ({"health": "/x", "stats": "/x"}, "both '/x'"),
        ({"drain_timeout": -1}, "drain_timeout is -1"),
        ({"drain_timeout": float("nan")}, "drain_timeout is nan"),
        ({"stall_warning": 0}, "stall_warning is 0"),
    ):
        with pytest.raises(ConfigError, match=told):
            await app.serve("127.0.0.1", 0, **options)  # type: ignore[arg-type]
