"""TLS on the transport seam, and handshakes that do not end."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.streams.tls import TLSStream

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._tls import TLSTransport
from plivo_anyio._transport import TransportLost
from plivo_core import Ended, Limits, Request, Timings
from plivo_core.commands import PlayAudio, Speak
from plivo_core.events import Dtmf, StreamMedia
from tests.adapter._caller import PATIENCE, Caller, calling
from tests.adapter._http import ask, serving_with, until
from tests.adapter._tls import client_context, server_context

pytestmark = pytest.mark.anyio


def tls_app(**options: Any) -> VoiceApp:
    app = VoiceApp(**options)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak(event.digit)

    @app.on(StreamMedia)
    async def echo(session: CallSession, event: StreamMedia) -> None:
        session.send_media(event.payload)

    @app.http("/page")
    async def page(request: Request) -> str:
        return "x" * 100_000

    return app


@asynccontextmanager
async def serving_tls(app: VoiceApp) -> AsyncIterator[int]:
    async with serving_with(app, "127.0.0.1", 0, ssl=server_context()) as (_, port):
        yield port


async def connect(port: int, *, version: ssl.TLSVersion | None = None) -> TLSStream:
    context = client_context()
    if version is not None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
    stream = await anyio.connect_tcp("127.0.0.1", port)
    return await TLSStream.wrap(
        stream, hostname="localhost", ssl_context=context, standard_compatible=True
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_call_over_tls_ends_with_every_farewell(version: ssl.TLSVersion) -> None:
    """standard_compatible: the client raises unless TLS itself was closed, not only TCP."""
    async with serving_tls(tls_app()) as port:
        stream: Any = await connect(port, version=version)
        async with stream:
            caller = Caller(stream, "/")
            await caller.receives()
            await caller.says(Dtmf(digit="7"))
            assert await caller.receives() == Speak("7")
            payload = "A" * 60_000  # many records, both ways
            await caller.says(StreamMedia(payload=payload))
            played = await caller.receives()
            assert isinstance(played, PlayAudio)
            assert played.payload == payload
            await caller.says(Dtmf(digit="8"))
            assert await caller.receives() == Speak("8")
            caller._conn.close(now=anyio.current_time())
            await caller.flush()
            with anyio.fail_after(PATIENCE):
                await stream.receive()  # the Close
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()


async def test_a_route_over_tls_is_answered_whole_and_at_once() -> None:
    async with serving_tls(tls_app(timings=Timings(linger=PATIENCE * 3))) as port:
        stream: Any = await connect(port)
        answer = await ask(stream, "/page")  # h11 waits for the end: no linger may be in its way
        assert (answer.status, len(answer.body)) == (200, 100_000)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_stalls_is_dropped_and_the_port_goes_on(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="plivo_anyio")
    app = tls_app(timings=Timings(handshake=0.1))
    async with serving_tls(app) as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as silent:
            if said:
                await silent.send(said)
            await until(lambda: app.stats.half_open == 1)
            with anyio.fail_after(PATIENCE):
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await silent.receive()
        await until(lambda: app.stats.failed_handshakes == 1 and app.stats.half_open == 0)
    told = [record for record in caplog.records if "handshake" in record.getMessage()]
    assert [record.levelname for record in told] == ["INFO"]
    assert "took too long" in told[0].getMessage()


async def test_the_handshake_and_the_head_share_one_time_limit() -> None:
    """A client that needs 0.6 s for TLS has 0.6 s left for its request, not 1.2 s again."""
    async with serving_tls(tls_app(timings=Timings(handshake=1.2))) as port:
        raw = await anyio.connect_tcp("127.0.0.1", port)
        await anyio.sleep(0.6)
        async with await TLSStream.wrap(
            raw, hostname="localhost", ssl_context=client_context()
        ) as stream:
            await anyio.sleep(0.8)
            await stream.send(
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            )  # too late by 0.2 s, in time if TLS did not count
            with anyio.fail_after(PATIENCE):
                assert (await stream.receive()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(100), b"\x16\x03"])
async def test_a_handshake_that_breaks_is_dropped_and_the_port_goes_on(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="plivo_anyio")
    app = tls_app()
    async with serving_tls(app) as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(said)
            await stream.send_eof()
            with anyio.fail_after(PATIENCE):
                try:
                    while True:
                        await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
        await until(lambda: app.stats.failed_handshakes == 1)
        stream_of_a_call: Any = await connect(port)
        async with stream_of_a_call:
            caller = Caller(stream_of_a_call, "/")
            await caller.receives()
            await caller.says(Dtmf(digit="1"))
            assert await caller.receives() == Speak("1")
            await caller.closes()
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert "a TLS handshake failed: " in caplog.text


async def test_half_open_counts_handshakes_and_a_connection_too_many_is_closed() -> None:
    app = tls_app(limits=Limits(max_half_open=1))
    async with serving_tls(app) as port, await anyio.connect_tcp("127.0.0.1", port):
        await until(lambda: app.stats.half_open == 1)
        async with await anyio.connect_tcp("127.0.0.1", port) as second:
            with anyio.fail_after(PATIENCE):
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await second.receive()
        assert app.stats.refused == 1


async def test_a_forged_record_in_mid_call_is_a_lost_call_and_nothing_else() -> None:
    app, ended = tls_app(), list[Ended | None]()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    async with serving_tls(app) as port:
        stream: Any = await connect(port)
        caller = Caller(stream, "/")
        await caller.receives()
        await stream.transport_stream.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        await until(lambda: ended)
        await anyio.aclose_forcefully(stream)
    assert ended[0] is not None
    assert ended[0].code == 1006


async def test_a_client_that_resets_in_mid_call_ends_it_once() -> None:
    app, ended = tls_app(), list[Ended | None]()

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        ended.append(session.ended)

    async with serving_tls(app) as port:
        stream: Any = await connect(port)
        await Caller(stream, "/").receives()
        await anyio.aclose_forcefully(stream)
        await until(lambda: ended)
        stream = await connect(port)
        await anyio.aclose_forcefully(stream)
    assert len(ended) == 1
    assert ended[0] is not None
    assert ended[0].code == 1006


class Pipe:
    """A transport in memory: what is sent here is received there."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.heard: list[bytes] = []
        self.eof = False
        self.broken = False

    async def receive(self, max_bytes: int) -> bytes:
        return self.heard.pop(0) if self.heard else b""

    async def send(self, data: bytes) -> None:
        if self.broken:
            raise TransportLost
        self.said.append(data)

    async def send_eof(self) -> None:
        self.eof = True

    async def aclose(self) -> None:
        self.eof = True


async def test_reading_writes_nothing_so_that_a_cancelled_read_tears_no_record() -> None:
    """What the peer makes TLS say (here: an alert) waits for the writer."""
    pipe = Pipe()
    tls = TLSTransport(pipe, server_context())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    pipe.heard.append(outgoing.read())
    async with anyio.create_task_group() as tasks:

        async def answers() -> None:
            await until(lambda: pipe.said)
            incoming.write(b"".join(pipe.said))
            client.do_handshake()
            pipe.heard.append(outgoing.read())

        original = pipe.receive

        async def receive(max_bytes: int) -> bytes:
            await until(lambda: pipe.heard)
            return await original(max_bytes)

        pipe.receive = receive  # type: ignore[method-assign]
        tasks.start_soon(answers)
        await tls.handshake()
    pipe.said.clear()
    pipe.heard.append(b"\x17\x03\x03\x00\x20" + bytes(32))  # forged: OpenSSL wants to say so
    assert await tls.receive(100) == b""
    assert pipe.said == []
    with pytest.raises(TransportLost):
        await tls.send(b"too late")
    pipe.broken = True
    await tls.send_eof()
    assert pipe.eof


async def test_plain_http_is_unchanged_without_the_option() -> None:
    async with serving_with(tls_app(), "127.0.0.1", 0) as (_, port), calling(port) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("1")
