"""``simulate`` is a Plivo that the REST client, an agent and its callbacks can use."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from plivo_anyio import VoiceApp
from plivo_anyio._cli._account import play_scenario_at
from plivo_anyio._cli._output import Output
from plivo_anyio._cli._transcript import Transcript
from plivo_core import ConnectionFailedError
from plivo_core.events import StreamStart
from plivo_core.platform import CallPlaced, PlatformCall, Scenario
from plivo_httpx_adapter import Client
from tests.cli._process import Running, running
from tests.cli._servers import a_server, an_agent, serving
from tests.cli.conftest import Plivo

HELLO = """
[[steps]]
press = "5"
[[steps]]
expect = "agent_session.speak"
label = "an answer"
within = 5
[[steps]]
hang_up = "caller_hangup"
[[steps]]
closes = 1000
label = "a clean end"
"""


def environment_of(platform: Running) -> dict[str, str]:
    environment: dict[str, str] = json.loads(platform.line_with("environment"))["environment"]
    return environment


def test_the_environment_it_prints_is_what_the_client_needs(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running("simulate", "--port", 0, "--json", "--backend", backend) as platform:
        environment = environment_of(platform)
        assert environment["PLIVO_PUBLIC_URL"] == "http://127.0.0.1:9000"
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with Client() as client:
            sent = client.messages.create(src="+14155550100", dst="+14155550101", text="Hello")
            (message,) = client.messages.list().objects
        assert sent.message_uuid == [message.message_uuid]
        line = json.loads(platform.line_with("GET"))
        status, summary = platform.summary_after()
    assert line["rest"]["status"] == 200
    assert status == 0
    assert summary["requests"] == 2
    with Client() as client, pytest.raises(ConnectionFailedError):
        client.messages.list()


def test_people_get_lines_to_export_and_numbers_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--port", 0, "--auth-id", "MALOCAL", "--auth-token", "made-up")
    with running("simulate", *options) as platform:
        url = platform.line_with("PLIVO_API_URL").removeprefix("export PLIVO_API_URL=").strip()
        platform.line_with("export PLIVO_PUBLIC_URL=")
        assert "export PLIVO_AUTH_ID=MALOCAL\nexport PLIVO_AUTH_TOKEN=made-up\n" in platform.text
        with Client("MALOCAL", "made-up", base_url=url) as client:
            client.numbers.buy("14155550123")
        platform.line_with("POST /PhoneNumber/***0123/  status=201")
        status, rest = platform.ends()
    assert status == 0
    assert "4155550123" not in platform.text + rest


def test_it_calls_the_agent_and_plays_a_scenario(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "hello.toml"
    path.write_text(HELLO)
    with serving(an_agent()) as url:
        options = ("--port", 0, "--agent-url", url, "--scenario", path, "--calls", 2)
        with running("simulate", *options, "--json", "--backend", backend) as platform:
            platform.line_with('"what": "ended"')
            platform.line_with('"what": "ended"')
            status, summary = platform.summary_after()
    assert (status, summary["calls"], summary["missed"]) == (0, 2, [])


def test_on_ipv6_the_address_it_prints_is_one(backend: str) -> None:
    with serving(an_agent()) as url:
        options = ("--host", "::1", "--port", 0, "--agent-url", url, "--json")
        with running("simulate", *options, "--backend", backend) as platform:
            assert environment_of(platform)["PLIVO_API_URL"].startswith("http://[::1]:")
            platform.line_with('"what": "answered"')
            assert platform.summary_after()[0] == 0


def test_a_step_that_is_missed_makes_the_status_1(tmp_path: Path) -> None:
    path = tmp_path / "hello.toml"
    path.write_text(HELLO.replace("within = 5", "within = 0.3"))
    with serving(VoiceApp()) as url:
        options = ("--port", 0, "--agent-url", url, "--scenario", path, "--json")
        with running("simulate", *options) as platform:
            platform.line_with('"what": "ended"')
            status, summary = platform.summary_after()
    assert (status, summary["missed"]) == (1, ["an answer"])


@pytest.mark.parametrize("scripted", [False, True])
def test_a_call_that_nobody_answers_is_one_call_and_makes_the_status_1(
    tmp_path: Path, backend: str, scripted: bool
) -> None:
    path = tmp_path / "hello.toml"
    path.write_text(HELLO)
    script = ("--scenario", path) if scripted else ()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}/"
        options = ("--port", 0, "--agent-url", url, "--calls", 2, "--json", "--backend", backend)
        with running("simulate", *options, *script, PLIVO_LOG="error") as platform:
            for _ in range(6):  # each is tried three times
                platform.line_with('"what": "ended"')
            status, summary = platform.summary_after()
            said = platform.text
    assert (status, summary["ok"]) == (1, False)
    assert (summary["calls"], summary["unanswered"]) == (2, 2)
    assert summary["missed"] == (["an answer", "a clean end"] * 2 if scripted else [])
    assert said.count('"attempt": 3') == 2


def test_a_call_that_is_hung_up_before_an_answer_is_nothing_that_went_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        a_server(lambda connection: connection.recv(4096) and connection.recv(1)) as url,
        running("simulate", "--port", 0, "--agent-url", url, "--json") as platform,
    ):
        for name, value in environment_of(platform).items():
            monkeypatch.setenv(name, value)
        placed = json.loads(platform.line_with('"what": "placed"'))["call"]
        with Client() as client:
            client.calls.hangup(placed["call_uuid"])
        platform.line_with('"what": "ended"')
        status, summary = platform.summary_after()
    assert (status, summary["calls"], summary["unanswered"]) == (0, 1, 0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "format"), [(None, ("audio/x-l16", 16000)), (HELLO, ("audio/x-mulaw", 8000))]
)
async def test_its_calls_are_in_the_format_that_was_asked_for(
    text: str | None, format: tuple[str, int]
) -> None:
    scenario = None if text is None else Scenario.parse(text)  # which has a format of its own
    calls: dict[str, PlatformCall] = {}
    placed = CallPlaced(
        connection_id="c-1",
        call_uuid="call-1",
        session_id="s-1",
        stream_id="stream-1",
        mode="raw",
        url="ws://agent",
        from_="+14155550100",
        to=["+14155550101"],
        content_type="audio/x-l16",
        sample_rate=16000,
    )
    call = play_scenario_at(scenario, Transcript(Output(as_json=True)), calls)(placed)
    assert calls == {"c-1": call}
    call.start(now=0)
    started = [event for event in iter(call.next_event, None) if isinstance(event, StreamStart)]
    assert [(event.content_type, event.sample_rate) for event in started] == [format]


def test_wrong_usage(plivo: Plivo, tmp_path: Path) -> None:
    path = tmp_path / "drop.toml"
    path.write_text('[[steps]]\nfault = "drop"\n')
    assert "for `call`" in plivo("simulate", "--port", 0, "--scenario", path).err
    refused = plivo("simulate", "--port", 0, "--agent-url", "http://127.0.0.1/")
    assert (refused.status, "websocket_url" in refused.err) == (2, True)
    with running("simulate", "--port", 0, "--json") as platform:
        port = environment_of(platform)["PLIVO_API_URL"].rpartition(":")[2]
        taken = plivo("simulate", "--port", port)
    assert (taken.status, "Address already in use" in taken.err) == (2, True)
