"""The core's cost per packet, beside the JSON work nobody can avoid: prints both figures as JSON.

    python -m tests.bench.per_packet

CPU time of this thread, so that a busy machine does not count against the core.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from plivo_core import RequestReceived, ServerConnection
from plivo_core.events import StreamMedia
from plivo_core.wire._frames import TEXT, encode_frame

PACKETS = 2000
MEDIA = json.dumps(
    {
        "sequenceNumber": 5,
        "streamId": "strm-01",
        "event": "media",
        "media": {"track": "inbound", "timestamp": "1540", "chunk": 4, "payload": "f39/" * 54},
        "extra_headers": "{}",
    }
)
FRAME = encode_frame(TEXT, MEDIA.encode(), b"\x12\x34\x56\x78")
HEAD = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def an_echoing_call() -> Callable[[int], None]:
    """Feed one packet, get its echo: what every driver does per packet, without the transport."""
    conn = ServerConnection(now=0.0)
    conn.receive_data(HEAD, now=0.0)
    assert isinstance(conn.next_event(), RequestReceived)
    conn.accept(now=0.0)
    while conn.data_to_send():
        pass

    def packet(number: int) -> None:
        conn.receive_data(FRAME, now=number * 0.02)
        while (event := conn.next_event()) is not None:
            assert isinstance(event, StreamMedia)
            conn.session.send_media(event.payload)
        while conn.data_to_send():
            pass
        conn.deadline()

    return packet


def json_only(number: int) -> None:
    """The same message parsed and an answer written, with no protocol at all."""
    payload = json.loads(MEDIA)["media"]["payload"]
    media = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": payload}
    json.dumps({"event": "playAudio", "media": media})


def seconds(work: Callable[[int], None], start: int) -> float:
    began = time.thread_time()
    for number in range(start, start + PACKETS):
        work(number)
    return time.thread_time() - began


def main() -> None:
    echo = an_echoing_call()
    seconds(echo, 0)
    rounds = [(seconds(echo, i * PACKETS), seconds(json_only, 0)) for i in range(5)]
    for i in range(5, 20):
        seconds(echo, i * PACKETS)
    late = min(seconds(echo, i * PACKETS) for i in range(20, 25))
    figures = {
        "us_per_packet": min(ours for ours, _ in rounds) / PACKETS * 1e6,
        "ratio_to_json": statistics.median(ours / floor for ours, floor in rounds),
        "late_to_early": late / min(ours for ours, _ in rounds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
