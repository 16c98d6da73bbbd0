#!/usr/bin/env python3
"""What a REST call costs the caller's CPU: our clients beside bare httpx, and the core alone.

    python tests/bench/restbench.py [--requests 2000] [--rounds 20]

A server in a process of its own answers equal POSTs over loopback with keep-alive. Each contender
sends the same body with the same credentials and gets the parsed answer; rounds are interleaved (A
B C A B C ...), so that what else the machine does meanwhile hits all alike. Printed per contender:
microseconds of this process's CPU per request, the median over the rounds, and the median of the
rounds' ratios to bare httpx on the same back end. "core" builds the request and decodes the answer
without any network.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal

from plivo_core.rest import Account, Done, Response
from plivo_httpx_adapter import AsyncClient, Client

AUTH = ("MAEXAMPLE0000000000A", "secret-token")
BODY = {"dst": "+14155550101", "src": "+14155550100", "text": "Your order A-1042 is on its way."}
ANSWER = json.dumps(
    {
        "api_id": "db342550-7f1d-11e1-8ea7-1231380bc196",
        "message": "message(s) queued",
        "message_uuid": ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"],
    }
).encode()

SERVER = """
import socket, sys
answer = sys.stdin.buffer.read()
reply = (
    b"HTTP/1.1 202 Accepted\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
    % len(answer)
) + answer
import threading
def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    while received := connection.recv(65536):
        data += received
        while (end := data.find(b"\\r\\n\\r\\n")) >= 0:
            head = data[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\\r")[0])
            if len(data) < end + 4 + length:
                break
            data = data[end + 4 + length:]
            connection.sendall(reply)
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""

Work = Callable[[int], float]  # from a number of requests to CPU seconds


@contextmanager
def serving() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(ANSWER)
        server.stdin.close()
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def check(uuids: Any) -> None:
    assert uuids == ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"]


@contextmanager
def contenders(url: str, backends: list[str]) -> Iterator[dict[str, Work]]:
    """Name -> work; each keeps one client, and so one connection, for the whole run."""
    target = f"{url}/v1/Account/{AUTH[0]}/Message/"

    def on_thread(send: Callable[[], Any]) -> Work:
        def work(requests: int) -> float:
            began = time.thread_time()
            for _ in range(requests):
                check(send())
            return time.thread_time() - began

        return work

    def on_loop(portal: Any, send: Callable[[], Any]) -> Work:
        async def loop(requests: int) -> float:
            began = time.thread_time()
            for _ in range(requests):
                check(await send())
            return time.thread_time() - began

        return lambda requests: portal.call(loop, requests)

    from contextlib import ExitStack

    with ExitStack() as stack:
        works: dict[str, Work] = {}
        if "sync" in backends:
            bare = stack.enter_context(httpx.Client(auth=AUTH, timeout=30))
            ours = stack.enter_context(Client(*AUTH, base_url=url))
            works["sync httpx"] = on_thread(
                lambda: bare.post(target, json=BODY).json()["message_uuid"]
            )
            works["sync ours"] = on_thread(lambda: ours.messages.create(**BODY).message_uuid)
        for backend in backends:
            if backend == "sync":
                continue
            portal = stack.enter_context(start_blocking_portal(backend))
            abare = stack.enter_context(
                portal.wrap_async_context_manager(httpx.AsyncClient(auth=AUTH, timeout=30))
            )
            aours = stack.enter_context(
                portal.wrap_async_context_manager(AsyncClient(*AUTH, base_url=url))
            )

            async def send_bare(client: httpx.AsyncClient = abare) -> Any:
                return (await client.post(target, json=BODY)).json()["message_uuid"]

            async def send_ours(client: AsyncClient = aours) -> Any:
                return (await client.messages.create(**BODY)).message_uuid

            works[f"{backend} httpx"] = on_loop(portal, send_bare)
            works[f"{backend} ours"] = on_loop(portal, send_ours)
        works["core"] = on_thread(core_alone(url))
        yield works


def core_alone(url: str) -> Callable[[], Any]:
    account = Account(*AUTH, base_url=url)
    headers = [("content-type", "application/json"), ("content-length", str(len(ANSWER)))]

    def send() -> Any:
        op = account.messages.create(**BODY)  # type: ignore[arg-type]
        op.begin(now=0.0)
        step = op.responded(Response(202, headers, ANSWER), now=0.0, wall_now=0.0)
        assert isinstance(step, Done)
        return step.value.message_uuid

    return send


def measure(requests: int, rounds: int, backends: list[str]) -> dict[str, tuple[float, float]]:
    """Name -> (median microseconds per request, median ratio to bare httpx of its back end)."""
    each = max(1, requests // rounds)
    with serving() as url, contenders(url, backends) as works:
        for work in works.values():
            work(max(10, each // 4))  # connections, caches, lazy imports
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds):
            # Every other round backwards: nobody always runs second.
            for name in list(works)[:: 1 if number % 2 else -1]:
                times[name].append(works[name](each) / each * 1e6)
    reference = "asyncio" if "asyncio" in backends else backends[0]
    result: dict[str, tuple[float, float]] = {}
    for name, found in times.items():
        beside = times[f"{reference if name == 'core' else name.split()[0]} httpx"]
        ratio = statistics.median(a / b for a, b in zip(found, beside, strict=True))
        result[name] = (statistics.median(found), ratio)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(
        f"CPython {platform.python_version()}, httpx {httpx.__version__}, "
        f"{options.requests} requests each in {options.rounds} interleaved rounds"
    )
    results = measure(options.requests, options.rounds, ["sync", "asyncio", "trio"])
    for name, (cpu, ratio) in results.items():
        print(f"{name:14} {cpu:7.1f} us CPU per request   {ratio:5.2f}x bare httpx")


if __name__ == "__main__":
    main()
