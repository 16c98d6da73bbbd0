#!/usr/bin/env python3
"""Measure media-echo voice servers side by side, from Plivo's side of the socket.

Every server under test must accept WebSocket connections on 127.0.0.1:{port}
and answer each inbound `media` event with one `playAudio` carrying the same
payload. The load generator plays the platform: masked text frames, one 20 ms
mu-law packet per message.

    python wsbench.py --mode closed  NAME='CMD with {port}' NAME2='...'
    python wsbench.py --mode paced   NAME='CMD with {port}' ...
    python wsbench.py --mode idle    NAME='CMD with {port}' ...

closed : every call keeps one packet in flight (like real calls, nothing to
         batch); prints the server's CPU microseconds per echoed packet.
paced  : every call sends 50 packets/s; prints echo latency p50/p99 and the
         server's CPU share.
idle   : opens many connections that only said `start`; prints resident KiB
         per connection.

Rounds are interleaved (A B C A B C ...) and medians are printed with the ratio
to the first server named, so a noisy machine biases none of them. Needs
`picows` (client side only); the server runs on CPU 0 and the load on CPU 1
where the machine has two.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from picows import WSListener, WSMsgType, ws_connect

PAYLOAD = base64.b64encode(bytes(range(160))).decode()
STREAM_ID = "20170ada-f610-433b-8758-c02a2aab3662"
START = json.dumps(
    {
        "sequenceNumber": 0,
        "event": "start",
        "start": {
            "callId": "cf8f1ad7-3e8f-4bd3-9fb2-7e8c5fa7d1aa",
            "streamId": STREAM_ID,
            "accountId": "MAXXXXXXXXXXXXXXXXXX",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
        "extra_headers": "{}",
    }
).encode()
STOP = json.dumps({"event": "stop", "sequenceNumber": 10**6, "streamId": STREAM_ID}).encode()


def media(i: int) -> bytes:
    return json.dumps(
        {
            "sequenceNumber": i,
            "streamId": STREAM_ID,
            "event": "media",
            "media": {
                "track": "inbound",
                "timestamp": str(1709913832 + i * 20),
                "chunk": i,
                "payload": PAYLOAD,
            },
            "extra_headers": "{}",
        }
    ).encode()


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    raise RuntimeError("no VmRSS")


class Call(WSListener):
    """One simulated call."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.sent = self.received = 0
        self.sent_at: list[float] = []
        self.latencies: list[float] = []
        self.closed_loop = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport) -> None:
        self.transport = transport
        transport.send(WSMsgType.TEXT, START)

    def push(self) -> None:
        self.sent_at.append(time.perf_counter())
        self.sent += 1
        self.transport.send(WSMsgType.TEXT, media(self.sent))

    def on_ws_frame(self, transport, frame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            if b"playAudio" not in frame.get_payload_as_bytes()[:200]:
                return
            self.latencies.append(time.perf_counter() - self.sent_at[self.received])
            self.received += 1
            if self.received >= self.total:
                if not self.done.done():
                    self.done.set_result(None)
            elif self.closed_loop:
                self.push()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport) -> None:
        if not self.done.done():
            self.done.set_exception(
                RuntimeError(f"server hung up after {self.received}/{self.total} echoes")
            )


async def connect(url: str, total: int) -> Call:
    _, call = await ws_connect(lambda: Call(total), url)
    return call


async def closed(url: str, pid: int, calls: int, packets: int) -> dict[str, float]:
    group = [await connect(url, packets) for _ in range(calls)]
    await asyncio.sleep(0.2)
    before = cpu_seconds(pid)
    started = time.perf_counter()
    for call in group:
        call.closed_loop = True
        call.push()
    await asyncio.gather(*(call.done for call in group))
    wall = time.perf_counter() - started
    cpu = cpu_seconds(pid) - before
    for call in group:
        call.transport.send(WSMsgType.TEXT, STOP)
        call.transport.disconnect()
    n = calls * packets
    return {"cpu_us_per_packet": cpu / n * 1e6, "packets_per_s": n / wall}


async def paced(url: str, pid: int, calls: int, packets: int) -> dict[str, float]:
    group = [await connect(url, packets) for _ in range(calls)]
    await asyncio.sleep(0.2)

    async def talk(call: Call, offset: float) -> None:
        due = time.perf_counter() + offset
        for _ in range(packets):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            call.push()
            due += 0.020
        await call.done

    before = cpu_seconds(pid)
    started = time.perf_counter()
    await asyncio.gather(*(talk(call, i / calls * 0.020) for i, call in enumerate(group)))
    wall = time.perf_counter() - started
    cpu = cpu_seconds(pid) - before
    latencies = sorted(x for call in group for x in call.latencies)
    for call in group:
        call.transport.disconnect()
    return {
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "cpu_share": cpu / wall,
    }


async def idle(url: str, pid: int, calls: int, packets: int) -> dict[str, float]:
    before = rss_kib(pid)
    group = [await connect(url, 1) for _ in range(calls)]
    await asyncio.sleep(0.5)
    used = rss_kib(pid) - before
    for call in group:
        call.done.cancel()
        call.transport.disconnect()
    await asyncio.sleep(0.5)
    return {"rss_kib_per_call": used / calls}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command: str, pin: bool) -> tuple[subprocess.Popen, int]:
    port = free_port()
    args = shlex.split(command.replace("{port}", str(port)))
    if pin:
        args = ["taskset", "-c", "0", *args]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    log = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this function, with the server
    server = subprocess.Popen(args, stdout=log, stderr=log, env=env)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log.seek(0)
            raise SystemExit(f"{command}: exited\n{log.read().decode()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return server, port
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{command}: not listening on {port} after 20 s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("servers", nargs="+", metavar="NAME=CMD")
    parser.add_argument("--mode", choices=["closed", "paced", "idle"], default="closed")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--packets", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--path", default="/")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    run = {"closed": closed, "paced": paced, "idle": idle}[options.mode]
    calls = options.calls or {"closed": 50, "paced": 50, "idle": 500}[options.mode]
    packets = options.packets or {"closed": 200, "paced": 150, "idle": 1}[options.mode]
    pin = (os.cpu_count() or 1) > 1
    if pin:
        os.sched_setaffinity(0, {1})
    servers = dict(item.split("=", 1) for item in options.servers)
    running = {name: start(command, pin) for name, command in servers.items()}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    try:
        for round_number in range(options.rounds + 1):  # the first round only warms up
            for name, (server, port) in running.items():
                url = f"ws://127.0.0.1:{port}{options.path}"
                try:
                    figures = asyncio.run(run(url, server.pid, calls, packets))
                except (RuntimeError, TimeoutError, OSError) as error:
                    raise SystemExit(f"{name}: {error!r}") from error
                if round_number or options.mode == "idle":
                    results[name].append(figures)
            if options.mode == "idle":
                break
    finally:
        for server, _ in running.values():
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
    table = {
        name: {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        for name, rounds in results.items()
    }
    if options.json:
        print(json.dumps(table))
        return
    baseline = next(iter(table.values()))
    for name, figures in table.items():
        row = "  ".join(
            f"{key}={value:9.2f} ({value / baseline[key]:.2f}x)" for key, value in figures.items()
        )
        print(f"{name:24s} {row}")


if __name__ == "__main__":
    sys.exit(main())
