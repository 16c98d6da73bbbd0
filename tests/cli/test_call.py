"""``call`` says of any server what was expected and what came, and ends as it says."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._cli._report import percentiles
from plivo_core import Request
from plivo_core.audio import PCM_16K, wav_bytes
from plivo_core.events import AgentSessionStarted, Dtmf, Prompt
from tests.adapter._tls import _authority, server_context
from tests.cli._servers import a_server, an_agent, answers_upgrade, reads_head, serving
from tests.cli.conftest import Plivo

# --- servers that behave --------------------------------------------------------------------------


def test_a_server_that_answers_words_and_keys_completes_the_call(
    plivo: Plivo, backend: str
) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--say", "hello", "--press", "1#", "--backend", backend)
    assert done.status == 0, done.out
    assert "1 of 1 calls placed, 1 answered, 1 completed, 0 failed" in done.out
    assert "ok      a command in answer to what the caller said (1 of 1)" in done.out
    assert "plivo <- agent  agent_session.speak" in done.out
    assert "answer to words and keys" in done.out
    assert done.err == ""


def test_json_has_a_line_per_message_one_per_call_and_a_summary(plivo: Plivo, backend: str) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--say", "hello", "--json", "--backend", backend)
    *messages, call, last = done.lines
    assert done.status == 0
    assert [message["name"] for message in messages if message["from"] == "agent"] == [
        "agent_session.speak"
    ]
    assert messages[0]["name"] == "session.started"
    assert call["call"]["ok"] is True
    assert last["summary"]["completed"] == 1
    assert last["summary"]["latency_ms"]["answer"]["count"] == 1
    assert last["summary"]["missed"] == []


@pytest.mark.parametrize("format", ["mulaw-8000", "l16-8000", "l16-16000"])
def test_a_tone_comes_back_frame_by_frame_and_is_timed(plivo: Plivo, format: str) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--tone", "0.3", "--format", format, "--json")
    assert done.status == 0, done.out
    assert done.summary["media_sent"] == done.summary["media_back"] == 15
    echo = done.summary["latency_ms"]["media_echo"]
    assert echo["count"] == 15
    assert 0 < echo["p50"] <= echo["p90"] <= echo["p99"] <= echo["max"]


def test_a_wav_file_of_another_format_is_played(plivo: Plivo, tmp_path: Path) -> None:
    file = tmp_path / "hello.wav"
    file.write_bytes(wav_bytes(b"\1\2" * 3200, PCM_16K))  # 200 ms
    with serving(an_agent()) as url:
        done = plivo("call", url, "--wav", file, "--json")
    assert done.status == 0, done.out
    assert done.summary["media_sent"] == 10


def test_people_see_the_first_frame_of_a_sound_and_how_many_follow(plivo: Plivo) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--tone", "0.2")
    assert done.out.count("agent  media ") == 1
    assert "plivo -> agent  ... and 9 frames more" in done.out


def test_keys_of_a_plain_stream_are_events_of_the_stream(plivo: Plivo) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--mode", "stream", "--press", "5", "--json")
    assert done.status == 0, done.out
    assert [line["name"] for line in done.lines if line.get("from") == "platform"] == [
        "start",
        "dtmf",
        "clearedAudio",
        "stop",
    ]


def test_what_a_caller_presses_is_masked_in_the_transcript(plivo: Plivo) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--press", "7")
    assert '"digit": "<masked>"' in done.out


def test_headers_and_the_query_arrive(plivo: Plivo) -> None:
    async def authorize(request: Request) -> bool:
        return request.header("x-key") == "s3cret" and request.target == "/?room=1"

    with serving(an_agent(authorize=authorize)) as url:
        done = plivo("call", f"{url}?room=1", "--say", "x", "--header", "X-Key=s3cret")
        assert done.status == 0, done.out
        assert "s3cret" not in done.out
        refused = plivo("call", url, "--say", "x", "--json")
    assert refused.status == 1
    assert refused.missed["came"] == "403 Forbidden, without a body"


def test_a_certificate_is_checked_unless_told_otherwise(plivo: Plivo, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    _authority().cert_pem.write_to_path(authority)
    with serving(an_agent(), tls=server_context()) as url:
        strange = plivo("call", url, "--say", "x", "--json")
        known = plivo("call", url, "--say", "x", "--ca-file", authority)
        believed = plivo("call", url, "--say", "x", "--insecure")
    assert strange.status == 1
    assert strange.missed["expected"] == "a certificate that this machine trusts"
    assert known.status == 0, known.out
    assert believed.status == 0, believed.out


def test_many_calls_begin_at_their_rate_and_are_counted(plivo: Plivo, backend: str) -> None:
    with serving(an_agent()) as url:
        done = plivo(
            "call", url, "--tone", "0.1", "--calls", 6, "--rate", 20, "--json", "--backend", backend
        )
    assert done.status == 0, done.out
    assert [line["call"]["ok"] for line in done.lines[:-1]] == [True] * 6
    assert sorted(line["call"]["number"] for line in done.lines[:-1]) == [1, 2, 3, 4, 5, 6]
    assert done.summary["placed"] == done.summary["answered"] == done.summary["completed"] == 6
    assert done.summary["media_back"] == 30
    assert done.summary["seconds"] >= 5 / 20


# --- servers that do not --------------------------------------------------------------------------


def test_nobody_listens(plivo: Plivo, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = plivo("call", f"ws://127.0.0.1:{port}", "--json", "--backend", backend)
    assert done.status == 1
    assert done.missed["expected"] == f"a connection to port {port}"
    assert done.missed["came"] == "connection refused: nobody listens there"
    assert done.summary["answered"] == 0


def test_a_server_that_never_answers_the_upgrade(plivo: Plivo, backend: str) -> None:
    with a_server(lambda connection: [reads_head(connection), connection.recv(1)]) as url:
        began = time.monotonic()
        done = plivo("call", url, "--timeout", "0.3", "--json", "--backend", backend)
    assert time.monotonic() - began < 3
    assert done.status == 1
    assert done.missed["expected"] == "101 Switching Protocols"
    assert done.missed["came"] == "nothing within 0.3 s"


def test_a_server_that_hangs_up_before_it_answers(plivo: Plivo, backend: str) -> None:
    with a_server(reads_head) as url:
        done = plivo("call", url, "--json", "--backend", backend)
    assert done.status == 1
    assert done.missed["came"] == "the connection closed without a word"


def test_a_server_that_speaks_something_else(plivo: Plivo, backend: str) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        connection.recv(4096)
        connection.recv(4096)

    with a_server(greet) as url:
        done = plivo("call", url, "--json", "--backend", backend)
    assert done.status == 1
    assert done.missed["expected"] == "101 Switching Protocols"
    assert done.missed["came"] == ("'SSH-2.0-OpenSSH_9.6', the server's answer is not HTTP/1.1")


def test_a_server_that_refuses_shows_its_status_and_what_it_says(
    plivo: Plivo, backend: str
) -> None:
    page = b"this room is full " * 20
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(page)

    def refuse(connection: socket.socket) -> None:
        reads_head(connection)
        connection.sendall(head + page)

    with a_server(refuse) as url:
        done = plivo("call", url, "--json", "--backend", backend)
        for_people = plivo("call", url)
    assert done.status == 1
    came = done.missed["came"]
    assert came.startswith("403 Forbidden: 'this room is full this room")
    assert len(came) < 160
    assert "MISSED  upgrade" in for_people.out
    assert f"came:     {came}" in for_people.out


def test_a_server_that_accepts_and_sends_garbage(plivo: Plivo, backend: str) -> None:
    def babble(connection: socket.socket) -> None:
        answers_upgrade(connection)
        connection.sendall(b"\xff\xff\xff\xff no frame")
        connection.recv(4096)

    with a_server(babble) as url:
        done = plivo("call", url, "--say", "x", "--json", "--backend", backend)
    assert done.status == 1
    first = done.summary["missed"][0]
    assert first["expected"].startswith("a command in answer to")
    assert first["came"]
    assert done.summary["answered"] == 1


def test_a_server_that_accepts_and_says_nothing(plivo: Plivo, backend: str) -> None:
    with serving(VoiceApp()) as url:
        done = plivo("call", url, "--timeout", "0.2", "--json", "--backend", backend)
        content = plivo("call", url, "--timeout", "0.2", "--answer", "none")
    assert done.status == 1
    assert done.missed["step"] == "a command in answer to the start of the call"
    assert done.missed["came"] == "nothing for 0.2 s"
    assert content.status == 0


def test_a_server_that_hangs_up_in_the_middle(plivo: Plivo, backend: str) -> None:
    app = VoiceApp()

    @app.on(Prompt)
    async def leave(session: CallSession, event: Prompt) -> None:
        session.close(1011, "out of ideas")

    with serving(app) as url:
        done = plivo("call", url, "--say", "x", "--press", "1", "--json", "--backend", backend)
    assert done.status == 1
    came = [missed["came"] for missed in done.summary["missed"]]
    assert came[0] == "the server closed the WebSocket with 1011 (out of ideas)"
    assert done.summary["seconds"] < 3


def test_a_server_that_drops_the_line(plivo: Plivo, backend: str) -> None:
    with a_server(answers_upgrade) as url:
        done = plivo("call", url, "--say", "x", "--json", "--backend", backend)
    assert done.status == 1
    assert done.summary["missed"][0]["came"] == "the connection was lost, without a Close"


def test_messages_that_are_no_json_are_missed_commands(plivo: Plivo) -> None:
    def mumble(connection: socket.socket) -> None:
        answers_upgrade(connection)
        connection.sendall(b"\x81\x05hello\x81\x02{}")
        while connection.recv(4096):
            pass

    with a_server(mumble) as url:
        done = plivo("call", url, "--timeout", "0.3", "--json")
    assert done.status == 1
    assert done.missed["expected"] == "messages that are JSON objects"
    assert done.missed["came"] == "1 that is not, the first 'hello'"


def test_what_came_before_the_question_is_no_answer_to_it(plivo: Plivo) -> None:
    app = VoiceApp()

    @app.on(AgentSessionStarted)
    async def greet(session: CallSession, event: AgentSessionStarted) -> None:
        session.update(events={"metrics_events": True})

    with serving(app) as url:
        early = plivo("call", url, "--say", "x", "--timeout", "0.3", "--json")
        start = plivo("call", url, "--json")
    assert early.status == 1
    assert early.missed["step"] == "a command in answer to what the caller said (1 of 1)"
    assert start.status == 0, start.out


def test_another_command_than_the_wanted_is_named(plivo: Plivo) -> None:
    with serving(an_agent()) as url:
        options = ("--say", "x", "--json")
        wrong = plivo("call", url, *options, "--answer", "tool.result", "--timeout", "0.3")
        right = plivo("call", url, *options, "--answer", "agent_session.speak")
    assert wrong.status == 1
    assert wrong.missed["step"] == "tool.result in answer to what the caller said (1 of 1)"
    assert wrong.missed["came"] == "agent_session.speak"
    assert right.status == 0


def test_of_many_calls_the_same_miss_is_told_once_with_its_number(plivo: Plivo) -> None:
    with a_server(reads_head) as url:
        done = plivo("call", url, "--calls", 4, "--rate", 100)
    assert done.status == 1
    assert "MISSED  upgrade (4 calls)" in done.out
    assert "4 of 4 calls placed, 0 answered, 0 completed, 4 failed" in done.out


def test_a_server_that_hangs_up_in_the_tls_handshake(plivo: Plivo, backend: str) -> None:
    with a_server(lambda connection: connection.recv(4096)) as url:
        done = plivo("call", url.replace("ws:", "wss:"), "--json", "--backend", backend)
    assert done.status == 1
    assert done.missed["came"] == "the connection closed during the TLS handshake"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\ud800", "\\ud800"),
        ("\\u001b[2J", "\\x1b[2J"),
        ("\\n    ok", "\\n    ok"),
        ("\\u202e", "\\u202e"),
    ],
)
def test_what_a_server_names_a_command_cannot_write_on_the_terminal(
    plivo: Plivo, text: str, shown: str
) -> None:
    def name_it(connection: socket.socket) -> None:
        answers_upgrade(connection)
        message = f'{{"type": "x{text}y"}}'.encode()
        connection.sendall(bytes([0x81, len(message)]) + message)
        connection.recv(4096)
        connection.recv(4096)

    with a_server(name_it) as url:
        done = plivo("call", url)
    (line,) = [line for line in done.out.splitlines() if "<-" in line]
    assert shown in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("an\nok  other\r", r"'an\nok  other\r'"),
        ("\x1b[2J\u202e", r"'\x1b[2J\u202e'"),
        ("x" * 200, f"'{'x' * 120}'..."),
        ("a name", "a name"),
    ],
    ids=["lines", "control", "long", "plain"],
)
def test_what_came_is_told_in_one_line_whatever_its_name(
    plivo: Plivo, said: str, told: str
) -> None:
    app = VoiceApp()

    @app.on(Dtmf)
    async def name_it(session: CallSession, event: Dtmf) -> None:
        session.send_raw({"type": said})

    with serving(app) as url:
        options = ("call", url, "--press", "1", "--answer", "tool.result", "--timeout", "0.5")
        shown, programs = plivo(*options), plivo(*options, "--json")
    (line,) = [line for line in shown.out.splitlines() if line.startswith("  came:")]
    assert line == f"  came:     {told}"
    assert programs.missed["came"] == told


def test_a_reason_to_close_is_told_in_one_line(plivo: Plivo) -> None:
    app = VoiceApp()

    @app.on(Prompt)
    async def leave(session: CallSession, event: Prompt) -> None:
        session.close(1011, "out of\nideas")

    with serving(app) as url:
        done = plivo("call", url, "--say", "x")
    assert "closed the WebSocket with 1011 ('out of\\nideas')\n" in done.out


def test_a_host_that_can_have_no_address(plivo: Plivo, backend: str) -> None:
    done = plivo("call", "ws://a_b.\xe9/", "--json", "--backend", backend)
    assert done.status == 1
    assert "cannot be the name of a host" in done.missed["came"]


# --- wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["http://127.0.0.1/"], "ws:// or wss:// URL"),
        (["127.0.0.1:9000"], "ws:// or wss:// URL"),
        (["ws://127.0.0.1:99999/"], "no URL"),
        (["ws:///path"], "names no host"),
        (["ws://me:s3cret@127.0.0.1/"], "--header"),
        (["ws://127.0.0.1/a b"], "percent-encoding"),
        (["ws://127.0.0.1/", "--tone", "1", "--mode", "agent"], "managed agent gets no sound"),
        (["ws://127.0.0.1/", "--say", "x", "--mode", "stream"], "carries no words"),
        (["ws://127.0.0.1/", "--press", "5x"], "keys are 0-9"),
        (["ws://127.0.0.1/", "--header", "s3cret"], "NAME=VALUE"),
        (["ws://127.0.0.1/", "--header", "Host=s3cret"], "upgrade itself has it"),
        (["ws://127.0.0.1/", "--header", "X=s3cret\r\nY: 1"], "HTTP cannot carry"),
        (["ws://127.0.0.1/", "--wav", __file__], "WAV"),
        (["ws://127.0.0.1/", "--ca-file", __file__], "--ca-file"),
        (["ws://127.0.0.1/", "--calls", "0"], "--calls"),
        ([], "URL"),
    ],
)
def test_wrong_usage_says_what_is_right_and_ends_with_2(
    plivo: Plivo, arguments: list[str], says: str
) -> None:
    done = plivo("call", *arguments)
    assert done.status == 2
    assert says in " ".join(done.err.split())
    assert "s3cret" not in done.err
    assert done.out == ""


def test_percentiles_are_samples_by_nearest_rank() -> None:
    samples = [float(n) for n in range(1, 201)]
    assert percentiles(samples) == {"p50": 100.0, "p90": 180.0, "p99": 198.0, "max": 200.0}
    assert percentiles([3.0]) == {"p50": 3.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
