#!/usr/bin/env python3
"""Keep a server busy for minutes with callers that come, break off and come back.

    python -m tests.bench.soak --minutes 10 --calls 50 --backend asyncio --handler async

Each of the calls sends 50 packets of audio a second and counts the echoes. After some seconds it
ends: by a Close, by ``stop``, in the middle of a frame, or by a RST; then the caller calls again.
The server is a process of its own; its resident memory is read all the while. The soak fails

- if the mean of the last minute is more than 5 % off that of the second one (of a run under ten
  minutes: the last and the second tenth);
- if, all callers gone, a task, a thread or a descriptor is left that was not there before them;
- if a call that ended in peace missed an echo, or the server ended one by itself.

Linux only, for /proc. The figures are printed as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter

PATIENCE = 20.0  # seconds that anything may take which is not bounded otherwise
INTERVAL = 0.02  # between two packets
KEY = bytes([17, 34, 51, 68])  # masks must be there; that they cannot be guessed is not tested here

# --- the server: `--serve` ------------------------------------------------------------------------


def serve(backend: str, handler: str) -> None:
    """Echo audio until SIGTERM. Prints the port; GET /state tells what is alive in here."""
    from plivo_anyio import CallSession, VoiceApp
    from plivo_core import Request
    from plivo_core.events import StreamMedia

    app = VoiceApp()
    failures = 0

    if handler == "sync":

        @app.on(StreamMedia)
        def heard(session: CallSession, event: StreamMedia) -> None:
            session.send_media(event.payload)

    else:

        @app.on(StreamMedia)
        async def heard_async(session: CallSession, event: StreamMedia) -> None:
            session.send_media(event.payload)

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        nonlocal failures
        failures += 1

    @app.http("/state")
    async def state(request: Request) -> str:
        if backend == "trio":
            import trio

            tasks = trio.lowlevel.current_statistics().tasks_living
        else:
            tasks = len(asyncio.all_tasks())
        return json.dumps(
            {
                "tasks": tasks,
                "threads": threading.active_count(),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "calls": app.stats.calls,
                "failures": failures,
            }
        )

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    app.run(sock=listener, backend=backend)


# --- the callers ----------------------------------------------------------------------------------


def frame(opcode: int, payload: bytes) -> bytes:
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    size = len(payload)
    head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else b""
    return (head or struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)) + KEY + masked


UPGRADE = (
    b"GET /call HTTP/1.1\r\nHost: soak\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
START = frame(
    1,
    json.dumps(
        {
            "event": "start",
            "start": {
                "streamId": "s",
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
            },
        }
    ).encode(),
)
PAYLOAD = base64.b64encode(bytes(range(160))).decode()
MEDIA = frame(
    1,
    json.dumps(
        {"event": "media", "streamId": "s", "media": {"track": "inbound", "payload": PAYLOAD}}
    ).encode(),
)
STOP = frame(1, b'{"event": "stop", "streamId": "s"}')
CLOSE = frame(8, struct.pack("!H", 1000))
ENDINGS = ("close", "stop", "half frame, RST", "half frame, FIN", "RST")


class Call(asyncio.Protocol):
    """One call: counts echoes, answers pings and Close."""

    def __init__(self) -> None:
        self.upgraded = False
        self.sent = self.echoed = 0
        self.changed = asyncio.Event()
        self.closed = False  # by a Close of the server
        self.lost = False
        self.error: Exception | None = None  # what it was lost by
        self.finished = False  # our direction is
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.upgraded:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), bytes(head)
            self.upgraded, self._data = True, rest
            self.transport.write(START)
        self._read_frames()
        self.changed.set()

    def _read_frames(self) -> None:
        data, at = self._data, 0
        while len(data) - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                if len(data) - at < 4:
                    break
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            if len(data) - at < head + size:
                break
            opcode = data[at] & 15
            payload = data[at + head : at + head + size]
            at += head + size
            if opcode == 1 and b"playAudio" in payload:
                self.echoed += 1
            elif opcode == 9 and not self.finished:
                self.transport.write(frame(10, bytes(payload)))
            elif opcode == 8:
                self.closed = True
                if not self.finished:
                    self.transport.write(CLOSE)
        del data[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost, self.error = True, exc
        self.changed.set()

    async def until(self, condition: str) -> bool:
        """Whether ``upgraded``, ``closed``, ``lost`` or ``all_echoed`` came true in time."""
        try:
            await asyncio.wait_for(self._until(condition), PATIENCE)
        except asyncio.TimeoutError:
            pass
        return bool(getattr(self, condition))

    async def _until(self, condition: str) -> None:
        while not (getattr(self, condition) or self.lost):
            self.changed.clear()
            await self.changed.wait()

    @property
    def all_echoed(self) -> bool:
        return self.echoed >= self.sent


class Soak:
    """All callers, and what they saw."""

    def __init__(self, port: int, seed: int, seconds: float) -> None:
        self.port = port
        self.random = random.Random(seed)
        self.over_at = time.monotonic() + seconds
        self.calls = self.sent = self.echoed = 0
        self.endings: Counter[str] = Counter()
        self.problems: list[str] = []

    async def caller(self, number: int) -> None:
        await asyncio.sleep(number * INTERVAL / 10)
        while time.monotonic() < self.over_at:
            try:
                await self._one_call()
            except (OSError, AssertionError) as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.5)

    async def _one_call(self) -> None:
        loop = asyncio.get_running_loop()
        _, call = await loop.create_connection(Call, "127.0.0.1", self.port)
        self.calls += 1
        try:
            if not await call.until("upgraded"):
                how = "lost" if call.lost else f"silent for {PATIENCE} s"
                self.problems.append(f"no answer to an upgrade: {how}, {call.error!r}")
                return
            await self._talk(call, self.random.uniform(1, 15))
            if call.lost or call.closed:
                self.problems.append("the server ended a call")
                return
            ending = self.random.choice(ENDINGS)
            self.endings[ending] += 1
            await self._end(call, ending)
        finally:
            self.sent += call.sent
            self.echoed += call.echoed
            call.transport.abort()

    async def _talk(self, call: Call, seconds: float) -> None:
        due = time.monotonic()
        until = min(due + seconds, self.over_at)
        while due < until and not call.lost:
            call.transport.write(MEDIA)
            call.sent += 1
            # What a busy machine held up is lost, as on a telephone line: no second load on top.
            due = max(due + INTERVAL, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _end(self, call: Call, ending: str) -> None:
        if ending in ("close", "stop"):
            if not await call.until("all_echoed"):
                self.problems.append(f"{call.echoed} echoes of {call.sent}")
            call.transport.write(CLOSE if ending == "close" else STOP)
            if not await call.until("closed"):
                self.problems.append(f"no Close after {ending}")
            return
        if "half frame" in ending:
            call.transport.write(MEDIA[: self.random.randrange(1, len(MEDIA))])
        if "FIN" in ending:
            call.finished = True
            call.transport.write_eof()
            if not await call.until("lost"):
                self.problems.append("the server holds on to a call that ended")
        if "RST" in ending:
            call.transport.write(MEDIA * 20)  # so that echoes are on their way
            sock = call.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# --- the judge ------------------------------------------------------------------------------------


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def state_of(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=PATIENCE) as answer:
        state: dict[str, int] = json.load(answer)
    return state


async def load(soak: Soak, calls: int, pid: int, every: float) -> list[tuple[float, int]]:
    """Run the callers; gives (seconds since the beginning, resident KiB) ``every`` so often."""
    samples = list[tuple[float, int]]()
    began = time.monotonic()

    async def sample() -> None:
        while True:
            samples.append((time.monotonic() - began, resident_kib(pid)))
            await asyncio.sleep(every)

    sampling = asyncio.create_task(sample())
    await asyncio.gather(*(soak.caller(number) for number in range(calls)))
    sampling.cancel()
    return samples


def mean_between(samples: list[tuple[float, int]], begin: float, end: float) -> float:
    return statistics.mean(kib for at, kib in samples if begin <= at <= end)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    parser.add_argument("--handler", choices=("async", "sync"), default="async")
    parser.add_argument("--tolerance", type=float, default=0.05, help="of resident memory")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.backend, options.handler)
        return 0

    command = [sys.executable, "-m", "tests.bench.soak", "--serve"]
    command += ["--backend", options.backend, "--handler", options.handler]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            state_of(port)  # the first request loads what the server loads late
            before = state_of(port)
            seconds = options.minutes * 60
            minute = min(60.0, seconds / 10)
            soak = Soak(port, options.seed, seconds)
            samples = asyncio.run(load(soak, options.calls, server.pid, minute / 60))
            assert server.poll() is None, "the server died"
            after = state_of(port)
            patience = time.monotonic() + PATIENCE
            while after != before and time.monotonic() < patience:
                time.sleep(0.2)
                after = state_of(port)
        finally:
            server.terminate()
        exit_status = server.wait(PATIENCE)

    problems = Counter(soak.problems)
    by_minute = [
        round(mean_between(samples, n * minute, (n + 1) * minute))
        for n in range(round(seconds / minute))
    ]
    second, last = by_minute[1], by_minute[-1]
    if abs(last / second - 1) > options.tolerance:
        problems[f"memory is not flat: {second} KiB, then {last}"] += 1
    if after != before:
        problems[f"left behind: {after}, before: {before}"] += 1
    if exit_status:
        problems[f"the server's exit status is {exit_status}"] += 1
    figures = {
        "backend": options.backend,
        "handler": options.handler,
        "minutes": options.minutes,
        "calls": soak.calls,
        "endings": dict(soak.endings),
        "packets": soak.sent,
        "echoes": soak.echoed,
        "kib_by_minute": by_minute,
        "ratio": round(last / second, 4),
        "state_after": after,
        "problems": dict(problems),
    }
    print(json.dumps(figures, indent=1))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
