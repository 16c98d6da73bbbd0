"""The webhook examples as programs: signed requests in, answers out, and nothing for strangers."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.examples.test_server_examples import BACKENDS, HANG, program, reads
from tests.webhooks._hooks import PUBLIC, TOKEN, Hook, a_hook

SIG = "X-Plivo-Signature-V3"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("PLIVO_PUBLIC_URL", PUBLIC)


@contextmanager
def running(name: str, *options: str, told: str = "listening on") -> Iterator[int]:
    """The example on a free port."""
    with program(name, "--port", "0", *options) as (child, log):
        found = re.search(r"(?:port |:)(\d+)\s", reads(child, log, told))
        assert found is not None, log
        yield int(found[1])


def posts(port: int, hook: Hook) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{hook.target}", data=hook.body, headers=dict(hook.headers)
    )
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def verbs(answer: tuple[int, bytes]) -> list[str]:
    assert answer[0] == 200
    return [verb.tag for verb in ElementTree.fromstring(answer[1])]


@BACKENDS
def test_callback_server_answers_what_plivo_signed_and_nothing_else(backend: str) -> None:
    with running("callback_server", "--backend", backend) as port:
        assert verbs(posts(port, a_hook(target="/answer", nonce="1"))) == ["GetDigits", "Speak"]
        key = a_hook([("Digits", "5")], target="/key", nonce="2")
        assert b"You pressed 5." in posts(port, key)[1]
        over: Any = {"call_uuid": "c-1", "hangup_cause": "NORMAL_CLEARING"}
        hangup = a_hook(members=over, target="/hangup", nonce="3")
        for _ in range(2):  # handled once
            assert posts(port, hangup) == (200, b"")
        assert posts(port, replace(hangup, body=json.dumps({}).encode())) == (403, b"")
        status = [("MessageUUID", "m-1"), ("Status", "sent")]
        assert posts(port, a_hook(status, target="/message-status", nonce="4")) == (200, b"")
        assert posts(port, a_hook(status, target="/message-status", token="guess")) == (403, b"")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report", timeout=HANG) as report:
            assert report.read() == b"1 calls ended, 1 messages\n"


@BACKENDS
def test_stream_with_token_opens_one_session_per_answer(backend: str) -> None:
    with running("stream_with_token", "--backend", backend) as port:
        status, body = posts(port, a_hook(target="/answer"))
        assert status == 200
        [stream] = ElementTree.fromstring(body)
        assert stream.text is not None
        url = stream.text.replace("wss://agent.example.com", f"ws://127.0.0.1:{port}")
        with connect(url, compression=None) as call:
            call.send('{"event": "start", "start": {"streamId": "s-1", "callId": "c-1"}}')
            call.send('{"event": "dtmf", "dtmf": {"digit": "5"}}')
            assert "pressed 5" in call.recv(timeout=HANG)
        for refused in (url, f"ws://127.0.0.1:{port}/call"):
            with pytest.raises(InvalidStatus) as caught:
                connect(refused, compression=None)
            assert caught.value.response.status_code == 403


def test_webhook_middleware_guards_an_asgi_application_under_uvicorn() -> None:
    with running("webhook_middleware", told="Uvicorn running on") as port:
        hook = a_hook([("CallerName", "Ann & Bob")], target="/answer?x=%C3%B6+1", nonce="1")
        for _ in range(2):
            answer = posts(port, hook)
            assert verbs(answer) == ["Speak", "Hangup"]
            assert b"Hello Ann &amp; Bob." in answer[1]
        assert posts(port, replace(hook, body=b"CallerName=Eve")) == (403, b"")
        assert posts(port, hook.with_header(SIG)) == (403, b"")
        assert posts(port, hook.with_header("Content-Type", "text/plain"))[0] == 415
