"""The examples, as a reader runs them: child processes against a local server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plivo_core.rest import Account
from tests.rest._drivers import AUTH_ID, AUTH_TOKEN
from tests.rest._server import RESET, Answer, Server

EXAMPLES = Path(__file__).parents[2] / "examples"
SRC, DST, AGENT = "+14155550100", "+14155550101", "550e8400-e29b-41d4-a716-446655440000"
WS = "wss://me.example.com/ws"
QUEUED = Answer(202, {"message_uuid": ["m1"]})
CREATED = Answer(201, {"agent_uuid": AGENT, "agent_name": "bakery"})


def run(
    name: str, *arguments: str, server: Server, fails: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PLIVO_AUTH_ID": AUTH_ID,
        "PLIVO_AUTH_TOKEN": AUTH_TOKEN,
        "PLIVO_API_URL": server.url,
        "MCP_API_KEY": "mcp-secret",
        "NO_PROXY": "*",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    assert fails or done.stderr == ""
    assert AUTH_TOKEN not in done.stdout + done.stderr
    return done


def asked(server: Server) -> list[tuple[str, str]]:
    prefix = f"/v1/Account/{AUTH_ID}"
    return [(request.method, request.path.removeprefix(prefix)) for request in server.requests]


def test_send_sms(server: Server) -> None:
    server.will(QUEUED, Answer(200, {"message_uuid": "m1", "message_state": "sent", "units": 1}))
    done = run("send_sms", SRC, DST, "Hello", server=server)
    assert done.stdout == "m1: sent, 1 unit(s)\n"
    assert asked(server) == [("POST", "/Message/"), ("GET", "/Message/m1/")]
    assert server.requests[0].json == {"src": SRC, "dst": DST, "text": "Hello"}


def test_send_sms_does_not_send_twice(server: Server) -> None:
    server.will(RESET, QUEUED)
    done = run("send_sms", SRC, DST, "Hello", server=server, fails=True)
    assert "may or may not have happened" in done.stderr
    assert "messages.list" in done.stderr
    assert len(server.requests) == 1


def test_whatsapp(server: Server) -> None:
    server.will(QUEUED, QUEUED, QUEUED)
    run("whatsapp", SRC, DST, server=server)
    bodies = [request.json for request in server.requests]
    assert {body["type"] for body in bodies} == {"whatsapp"}
    assert bodies[0]["template"]["name"] == "order_shipped"
    assert bodies[1]["interactive"]["type"] == "button"
    assert bodies[2]["location"]["name"] == "Depot"


def test_buy_number(server: Server) -> None:
    offer = {"number": "14155550199", "monthly_rental_rate": "0.50000"}
    server.will(
        Answer(200, {"meta": {}, "objects": [offer]}),
        Answer(201, {"status": "fulfilled", "numbers": [{"number": "14155550199"}]}),
        Answer(201, {"agent_uuid": AGENT, "number": "+14155550199"}),
        Answer(200, {"meta": {"next": "x", "limit": 1}, "objects": [{"number": "14155550199"}]}),
        Answer(200, {"meta": {"next": None}, "objects": [{"number": "14155550198"}]}),
    )
    done = run("buy_number", "US", AGENT, server=server)
    assert done.stdout.count("rented: ") == 2
    assert asked(server) == [
        ("GET", "/PhoneNumber/"),
        ("POST", "/PhoneNumber/14155550199/"),
        ("POST", f"/Agent/{AGENT}/Number"),
        ("GET", "/Number/"),
        ("GET", "/Number/"),
    ]


def test_outbound_call(server: Server) -> None:
    over = {"ended_at": "2026-03-02T10:00:00Z", "duration_seconds": 42, "turn_count": 7}
    server.will(
        Answer(201, {"call_uuid": "c1", "status": "initiated"}),
        Answer(200, {"meta": {}, "objects": [over]}),
    )
    done = run("outbound_call", AGENT, SRC, DST, server=server)
    assert "over after 42 s and 7 turns" in done.stdout
    assert server.requests[0].json["to"] == [DST]
    assert server.last.query["call_uuid"] == "c1"


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("full", {"stt", "llm", "tts", "agent_tools", "semantic_vad", "idle_timeout"}),
        ("byollm", {"stt", "tts", "idle_timeout"}),
        ("s2s", {"s2s"}),
        ("audio", {"stream"}),
    ],
)
def test_create_agent(server: Server, kind: str, parts: set[str]) -> None:
    server.will(CREATED)
    assert AGENT in run("create_agent", kind, WS, server=server).stdout
    body = server.last.json
    assert body.pop("agent_name") == f"bakery-{kind}"
    assert body.pop("websocket_url") == WS
    assert body.keys() - {"welcome_greeting"} == parts


def test_pipeline_fallback(server: Server) -> None:
    server.will(CREATED)
    run("pipeline_fallback", WS, server=server)
    assert [llm["provider"] for llm in server.last.json["llm_fallback"]] == ["groq", "anthropic"]


def test_pipeline_mcp(server: Server) -> None:
    server.will(CREATED)
    done = run("pipeline_mcp", WS, server=server)
    assert "mcp-secret" not in done.stdout
    http, stdio = server.last.json["mcp_servers"]
    assert http["headers"] == {"X-Api-Key": "mcp-secret"}
    assert stdio["command"] == "npx"


def test_embed_rest_urllib(server: Server) -> None:
    server.will(Answer(503, {}, {"Retry-After": "0"}), Answer(200, {"message_uuid": "m1"}))
    done = run("embed_rest_urllib", "m1", server=server)
    assert done.stdout == "Message(message_uuid='m1')\n"
    assert len(server.requests) == 2
    expected = Account(AUTH_ID, AUTH_TOKEN, base_url=server.url).messages.get("m1").request
    sent = {name.lower(): value for name, value in server.last.headers.items()}
    assert {name.lower(): value for name, value in expected.headers}.items() <= sent.items()


def test_embed_rest_urllib_tells_errors_and_follows_no_redirect(server: Server) -> None:
    server.will(Answer(302, None, {"location": "/elsewhere"}), Answer(404, {"error": "no such"}))
    run("embed_rest_urllib", "m1", server=server, fails=True)
    assert len(server.requests) == 1
    done = run("embed_rest_urllib", "m1", server=server, fails=True)
    assert "no such" in done.stderr


@pytest.mark.parametrize(
    "body",
    [b'{"message_uuid": "m1"}' + b" " * 1_000_000, b"{" + b'"a": 0,' * 200_000],
    ids=["whole", "cut"],
)
def test_embed_rest_urllib_says_when_it_cut_the_answer(server: Server, body: bytes) -> None:
    server.will(Answer(200, body))
    done = run("embed_rest_urllib", "m1", server=server, fails=True)
    assert "the answer was cut after 1000000 bytes" in done.stderr


def test_embed_rest_urllib_fits_on_a_page() -> None:
    lines = (EXAMPLES / "embed_rest_urllib.py").read_text("utf-8").splitlines()
    assert len(lines) <= 40
