"""Where a server listens: UNIX sockets, sockets of others, one port for several workers."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.streams.tls
import anyio.to_thread
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_core import ConfigError, Request
from plivo_core.commands import Speak
from plivo_core.events import Dtmf
from tests.adapter._caller import PATIENCE, Caller, calling
from tests.adapter._http import ask, serving_with
from tests.adapter._tls import client_context, server_context

pytestmark = pytest.mark.anyio


def an_app(name: str = "one") -> VoiceApp:
    app = VoiceApp(path="/call")

    @app.http("/name")
    async def who(request: Request) -> str:
        return name

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(event.digit)

    return app


@pytest.fixture
def uds() -> Iterator[str]:
    with TemporaryDirectory() as folder:  # pytest's own paths can be too long for a socket
        yield str(Path(folder, "agent.sock"))


def exists(path: str) -> bool:
    return os.path.exists(path)


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def read(path: str) -> str:
    return Path(path).read_text()


# --- UNIX sockets ---------------------------------------------------------------------------------


async def test_a_unix_socket_serves_calls_and_routes_and_leaves_no_file(uds: str) -> None:
    async with serving_with(an_app(), uds=Path(uds)) as address:
        assert address == (uds, 0)
        assert (await ask(await anyio.connect_unix(uds), "/name")).body == b"one"
        stream: Any = await anyio.connect_unix(uds)
        async with stream:
            caller = Caller(stream, "/call")
            await caller.receives()
            await caller.says(Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
            assert (await caller.closes()).code == 1000
    assert not exists(uds)


async def test_a_drain_removes_the_file_and_ends(uds: str) -> None:
    app = an_app()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:

            async def serve(*, task_status: Any) -> None:
                await app.serve(uds=uds, task_status=task_status)

            await tasks.start(serve)
            app.drain()
    assert not exists(uds)


async def test_tls_over_a_unix_socket(uds: str) -> None:
    async with serving_with(an_app(), uds=uds, ssl=server_context()):
        stream: Any = await anyio.streams.tls.TLSStream.wrap(
            await anyio.connect_unix(uds), hostname="localhost", ssl_context=client_context()
        )
        assert (await ask(stream, "/name")).body == b"one"


async def test_the_file_of_a_server_that_is_gone_is_replaced(uds: str) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(uds)
    assert stat.S_ISSOCK(os.stat(uds).st_mode)
    async with serving_with(an_app(), uds=uds):
        assert (await ask(await anyio.connect_unix(uds), "/name")).body == b"one"


async def test_a_living_server_keeps_its_file(uds: str) -> None:
    async with serving_with(an_app("first"), uds=uds):
        with pytest.raises(OSError, match="somebody listens on"):
            await an_app("second").serve(uds=uds)
        assert (await ask(await anyio.connect_unix(uds), "/name")).body == b"first"


async def test_a_file_that_is_no_socket_is_left_alone(uds: str) -> None:
    write(uds, "precious")
    with pytest.raises(ConfigError, match=r"uds is .*agent\.sock', which is a file"):
        await an_app().serve(uds=uds)
    assert read(uds) == "precious"


async def test_a_file_that_a_successor_put_there_is_left_alone(uds: str) -> None:
    async with serving_with(an_app("first"), uds=uds):
        os.unlink(uds)
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(uds)
    assert exists(uds)


async def test_where_nothing_can_be_bound_is_a_plain_oserror() -> None:
    with pytest.raises(OSError, match="No such file"):
        await an_app().serve(uds="/nowhere/at/all.sock")


# --- sockets of others, several workers -----------------------------------------------------------


async def test_a_socket_that_is_bound_already_is_served_and_closed() -> None:
    bound = socket.create_server(("127.0.0.1", 0))
    async with serving_with(an_app(), sock=bound) as (host, port):
        assert (host, port) == bound.getsockname()
        async with calling(port, target="/call") as caller:
            await caller.says(Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
    assert bound.fileno() == -1


async def test_several_sockets_of_several_kinds_are_served_at_once(uds: str) -> None:
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(uds)
    plain = socket.socket()  # bound, not listening yet
    plain.bind(("127.0.0.1", 0))
    port = plain.getsockname()[1]
    async with serving_with(an_app(), sock=[plain, unix]) as address:
        assert address == ("127.0.0.1", port)
        assert (await ask(port, "/name")).body == b"one"
        for _ in range(2):
            assert (await ask(await anyio.connect_unix(uds), "/name")).body == b"one"
    assert exists(uds), "who bound it removes it"


async def test_two_servers_share_a_port_with_reuse_port() -> None:
    async with serving_with(an_app("one"), "127.0.0.1", 0, reuse_port=True) as (_, port):
        with pytest.raises(OSError, match="in use"):
            await an_app().serve("127.0.0.1", port)
        async with serving_with(an_app("two"), "127.0.0.1", port, reuse_port=True):
            seen = set[bytes]()
            with anyio.fail_after(PATIENCE):  # the kernel deals by a hash: 2^-n for one alone
                while len(seen) < 2:
                    seen.add((await ask(port, "/name")).body)
            assert seen == {b"one", b"two"}


# --- options that contradict each other -----------------------------------------------------------


async def test_contradictory_options_are_config_errors_before_anything_is_bound(uds: str) -> None:
    client_side = client_context()
    with (
        socket.socket() as unbound,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as bound,
    ):
        datagrams.bind(("127.0.0.1", 0))
        closed = socket.socket()
        closed.close()
        cases: list[tuple[dict[str, Any], str]] = [
            ({"uds": uds, "port": 9000}, "uds was given together with port"),
            ({"uds": uds, "host": "127.0.0.1"}, "uds was given together with host"),
            ({"uds": uds, "reuse_port": True}, "uds was given together with reuse_port"),
            ({"uds": uds, "sock": bound}, "uds was given together with sock"),
            ({"sock": bound, "port": 0}, "sock was given together with port"),
            ({"sock": bound, "reuse_port": True}, "sock was given together with reuse_port"),
            ({"sock": unbound}, "sock is not bound"),
            ({"sock": datagrams}, "cannot listen"),
            ({"sock": closed}, "cannot listen"),
            ({"sock": ["x"]}, "sock is str"),
            ({"sock": []}, "sock is empty"),
            ({"port": 65536}, "port is 65536"),
            ({"ssl": "cert.pem"}, "ssl is str, not an ssl.SSLContext"),
            ({"ssl": client_side}, "ssl is a client's context"),
        ]
        for options, told in cases:
            with pytest.raises(ConfigError, match=told):
                await an_app().serve(**options)
            with pytest.raises(ConfigError, match=told):
                await anyio.to_thread.run_sync(lambda o=options: an_app().run(**o))
    assert not exists(uds)


@pytest.mark.parametrize("missing", ["AF_UNIX", "SO_REUSEPORT"])
async def test_what_a_platform_lacks_is_a_config_error(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, missing)
    options: dict[str, Any] = {"uds": "x"} if missing == "AF_UNIX" else {"reuse_port": True}
    with pytest.raises(ConfigError, match=r"here|platform"):
        await an_app().serve(**options)
