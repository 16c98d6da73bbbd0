"""``listen`` catches callbacks on real sockets, verifies, prints and answers them."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivo_anyio._cli._request import save_request
from plivo_core import Request
from plivo_core.webhooks import sign_v3
from tests.cli._process import Running, running
from tests.cli.conftest import Plivo
from tests.webhooks._hooks import CALL, PUBLIC, TOKEN, Hook, a_hook

_nonces = itertools.count(1)
ENVIRONMENT = {"PLIVO_AUTH_TOKEN": TOKEN, "PLIVO_PUBLIC_URL": PUBLIC}


def a_new_hook(**options: Any) -> Hook:
    return a_hook(CALL, **{"nonce": f"9{next(_nonces):019}", **options})


def port_of(listener: Running) -> int:
    line = listener.line_with("listening")
    if line.startswith("{"):
        return int(json.loads(line)["listening"]["port"])
    return int(line.split("127.0.0.1:")[1].split("/")[0])


def post(port: int, hook: Hook) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(hook.method, hook.target, body=hook.body, headers=dict(hook.headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_what_plivo_signed_is_printed_masked_and_answered(backend: str) -> None:
    with running("listen", "--port", 0, "--backend", backend, **ENVIRONMENT) as listener:
        port = port_of(listener)
        assert post(port, a_new_hook()) == (200, b"")
        listener.line_with("verified v3  POST /voice")
        listener.line_with("from_ = ***0101")
        status, rest = listener.ends()
    assert status == 0
    assert "1 verified, 0 repeated, 0 refused" in rest
    assert "4155550101" not in listener.text + rest
    assert TOKEN not in listener.text + rest


def test_a_forged_request_is_refused_explained_and_makes_the_status_1(backend: str) -> None:
    hook = a_new_hook()
    with running("listen", "--port", 0, "--json", "--backend", backend, **ENVIRONMENT) as listener:
        port = port_of(listener)
        assert post(port, replace(hook, body=hook.body + b"&Extra=1"))[0] == 403
        line = json.loads(listener.line_with("callback"))["callback"]
        status, summary = listener.summary_after()
    assert line["verified"] is False
    assert [one["part"] for one in line["differences"]] == ["body_added"]
    assert status == 1
    assert summary == {"ok": False, "verified": 0, "repeated": 0, "refused": 1}


def test_a_repetition_gets_the_first_answer_and_a_replay_none(tmp_path: Path) -> None:
    answer = tmp_path / "answer.xml"
    answer.write_text("<Response><Hangup/></Response>")
    hook = a_new_hook()
    other = a_hook(CALL[:1], nonce=hook.header("X-Plivo-Signature-V3-Nonce"))
    with running("listen", "--port", 0, "--answer", answer, "--json", **ENVIRONMENT) as listener:
        port = port_of(listener)
        assert post(port, hook) == (200, b"<Response><Hangup/></Response>")
        assert post(port, hook) == (200, b"<Response><Hangup/></Response>")
        assert post(port, other)[0] == 403
        status, summary = listener.summary_after(signal.SIGTERM)
    assert status == 1
    assert summary == {"ok": False, "verified": 1, "repeated": 1, "refused": 1}


def test_json_callbacks_of_agents_are_taken() -> None:
    body = json.dumps({"call_uuid": "c-1", "from": "+14155550101"}).encode()
    nonce = f"9{next(_nonces):019}"
    members = {"call_uuid": "c-1", "from": "+14155550101"}
    signature = sign_v3("POST", f"{PUBLIC}/agent", nonce, TOKEN, members)
    hook = Hook(
        target="/agent",
        headers=[
            ("Content-Type", "application/json"),
            ("X-Plivo-Signature-V3", signature),
            ("X-Plivo-Signature-V3-Nonce", nonce),
        ],
        body=body,
    )
    with running("listen", "--port", 0, "--json", "--count", 1, **ENVIRONMENT) as listener:
        assert post(port_of(listener), hook)[0] == 200
        line = json.loads(listener.line_with("callback"))["callback"]
        status, _ = listener.summary_after(None)
    assert line["fields"]["call_uuid"] == "c-1"
    assert "4155550101" not in json.dumps(line)
    assert status == 0


def test_what_it_saves_verify_reads(
    plivo: Plivo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(
        "listen", "--port", 0, "--save", tmp_path / "kept", "--count", 1, **ENVIRONMENT
    ) as listener:
        assert post(port_of(listener), a_new_hook())[0] == 200
        assert listener.ends(None)[0] == 0
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert plivo("verify", tmp_path / "kept" / "0001.http").status == 0
    assert os.listdir(tmp_path / "kept") == ["0001.http"]


def test_what_was_saved_before_is_kept(tmp_path: Path) -> None:
    (tmp_path / "0001.http").write_text("from yesterday")
    request = Request(method="GET", target="/hook", headers=())
    assert save_request(tmp_path, 1, request) == tmp_path / "0002.http"
    assert (tmp_path / "0001.http").read_text() == "from yesterday"


def test_a_folder_that_cannot_be_made_is_wrong_usage(plivo: Plivo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options = ("--token", TOKEN, "--public-url", PUBLIC, "--save", tmp_path / "file" / "kept")
    done = plivo("listen", "--port", 0, *options)
    assert done.status == 2
    assert "--save: " in done.err


def test_without_a_token_or_a_free_port_it_is_wrong_usage(plivo: Plivo) -> None:
    error = plivo("listen", "--port", 0, "--public-url", PUBLIC).err
    assert "give --token, or set PLIVO_AUTH_TOKEN" in error
    with running("listen", "--port", 0, **ENVIRONMENT) as listener:
        port = port_of(listener)
        done = plivo("listen", "--port", port, "--token", TOKEN, "--public-url", PUBLIC)
    assert done.status == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.err
