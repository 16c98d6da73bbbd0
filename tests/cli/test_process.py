"""What a shell sees: exit codes, signals, terminals, pipes, and what is imported when."""

from __future__ import annotations

import builtins
import importlib.metadata
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from plivo_anyio._cli._main import cli
from tests.cli._process import PATIENCE, command, running
from tests.cli._servers import a_server, an_agent, answers_upgrade, reads_head, serving
from tests.cli.conftest import Plivo

# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_calls_cleanly_with_the_summary_so_far(
    backend: str, number: int, status: int
) -> None:
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        answers_upgrade(connection)
        while data := connection.recv(4096):
            heard.append(data)

    with a_server(listen) as url:
        options = ("--tone", 30, "--backend", backend)
        with running("call", url, *options) as one:
            one.line_with("agent  media")
            assert one.process.poll() is None
            ended, rest = one.ends(number)
    assert ended == status
    assert "interrupted: 1 of 1 calls placed, 1 answered, 0 completed, 0 failed, 1 cut off" in rest
    # The last 8 bytes are a Close frame: masked, with a code.
    assert b"".join(heard)[-8:-6] == b"\x88\x82"
    assert "first command" not in rest


def test_ctrl_c_in_the_middle_of_many_calls_counts_what_was_done(backend: str) -> None:
    with (
        serving(an_agent()) as url,
        running(
            "call", url, "--tone", 2, "--calls", 40, "--rate", 5, "--json", "--backend", backend
        ) as many,
    ):
        many.line_with('"ok": true')
        status, summary = many.summary_after()
    assert status == 130
    assert summary["interrupted"] is True
    assert summary["ok"] is False
    assert summary["wanted"] == 40
    assert 1 <= summary["completed"] < summary["placed"] < 40
    assert summary["completed"] + summary["cut_off"] == summary["placed"]
    assert summary["latency_ms"]["media_echo"]["count"] > 0


def test_ctrl_c_while_a_call_is_not_answered_yet(backend: str) -> None:
    came = threading.Event()
    with (
        a_server(
            lambda connection: [reads_head(connection), came.set(), connection.recv(1)]
        ) as url,
        running("call", url, "--timeout", 20, "--json", "--backend", backend) as one,
    ):
        assert came.wait(PATIENCE)
        began = time.monotonic()
        status, summary = one.summary_after()
    assert status == 130
    assert time.monotonic() - began < 5
    assert (summary["placed"], summary["answered"], summary["cut_off"]) == (1, 0, 1)


def test_ctrl_c_in_the_demo(backend: str) -> None:
    with running("demo", "--backend", backend) as demo:
        demo.line_with("session.started")
        status, rest = demo.ends()
    assert status == 130
    assert "ok      REST: an agent was created" in rest
    assert "MISSED  agent saw the end of the session" in rest
    assert f" steps observed on {backend}: " in rest.splitlines()[-1]


# --- terminals and pipes --------------------------------------------------------------------------


def on_a_terminal(*arguments: object, **environment: str) -> tuple[int, bytes]:
    """Exit status and everything a terminal would show."""
    leader, follower = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        command(*arguments),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**kept, "TERM": "xterm", **environment},
    )
    os.close(follower)
    shown = b"".join(_read(leader))
    os.close(leader)
    return process.wait(PATIENCE), shown


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux says so when the last process has closed it
            return
        if not data:
            return
        yield data


def test_colour_and_progress_are_for_terminals_alone(plivo: Plivo) -> None:
    with serving(an_agent()) as url:
        options = ("call", url, "--tone", "0.5", "--calls", 3)
        status, shown = on_a_terminal(*options)
        plain_status, plain = on_a_terminal(*options, NO_COLOR="1")
        piped = plivo(*options)
    assert status == plain_status == piped.status == 0
    assert b"\x1b[32m" in shown
    assert b"\r3 of 3 calls placed, " in shown
    assert b"\x1b[" not in plain
    assert "\x1b[" not in piped.out
    assert piped.err == ""


def test_json_on_a_terminal_is_json_and_nothing_else() -> None:
    with serving(an_agent()) as url:
        status, shown = on_a_terminal("call", url, "--tone", "0.1", "--calls", 2, "--json")
    assert status == 0
    assert len([json.loads(line) for line in shown.splitlines()]) == 3


def test_a_reader_that_goes_early_ends_it_quietly() -> None:
    with serving(an_agent()) as url:
        process = subprocess.Popen(
            command("call", url, "--tone", "20", "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(PATIENCE) == 1
            assert process.stderr is not None
            assert process.stderr.read() == b""


@pytest.mark.parametrize("lines", [1, 6])
@pytest.mark.parametrize("name", ["demo", "simulate", "listen"])
def test_where_nobody_reads_a_server_ends_too(backend: str, name: str, lines: int) -> None:
    """Its lines are printed by tasks of the server, which outlives what a task raises."""
    with a_server(lambda connection: connection.recv(1)) as url, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = {
            "demo": (),
            "simulate": ("--port", 0, "--agent-url", url, "--calls", 20),
            "listen": ("--port", port, "--token", "t", "--public-url", "https://example.com"),
        }
        process = subprocess.Popen(
            command(name, "--backend", backend, *options[name]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        with process:
            assert process.stdout is not None
            for _ in range(1 if name == "listen" else lines):
                process.stdout.readline()
            process.stdout.close()
            if name == "listen":
                with socket.create_connection(("127.0.0.1", port)) as anybody:
                    anybody.sendall(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
                    anybody.recv(4096)
            assert process.wait(PATIENCE) == 1
            assert process.stderr is not None
            shown = process.stderr.read().decode()
            assert "Traceback" not in shown
            assert "Usage" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("call", "ws://127.0.0.1:9/", "--backend", "trio"),
        ("call", "ws://127.0.0.1:9/", "--calls", 3, "--json"),
        ("demo",),
        ("demo", "--json", "--backend", "trio"),
        ("simulate", "--port", 0),
        ("listen", "--port", 0, "--token", "t", "--public-url", "https://example.com"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_where_the_disk_is_full_it_says_so_in_one_line(arguments: tuple[object, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE, check=False
        )
    said = done.stderr.decode()
    assert said == "plivo-sansio: cannot write the output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("closed", [1, 2])
def test_without_an_output_it_does_what_it_does(closed: int) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}>&-', "sh"]
    with serving(an_agent()) as url:
        for arguments in (("--help",), ("call", url, "--tone", "0.1", "--calls", 2)):
            done = subprocess.run(
                [*shell, *command(*arguments)], capture_output=True, timeout=PATIENCE, check=False
            )
            assert (done.returncode, done.stderr) == (0, b"")
            assert bool(done.stdout) == (closed == 2)


# --- usage ----------------------------------------------------------------------------------------


def test_every_command_has_help_and_an_unknown_one_is_wrong_usage() -> None:
    runner = CliRunner()
    for name in ("call", "verify", "listen", "demo"):
        shown = runner.invoke(cli, [name, "--help"])
        assert shown.exit_code == 0
        assert "--json" in shown.output
        assert name in runner.invoke(cli, ["-h"]).output
    unknown = runner.invoke(cli, ["dial"])
    assert unknown.exit_code == 2
    assert "No such command 'dial'" in unknown.output


def test_a_log_level_nobody_knows_is_wrong_usage(
    plivo: Plivo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIVO_LOG", "loud")
    done = plivo("demo")
    assert done.status == 2
    assert "PLIVO_LOG is 'loud'" in done.err


@pytest.mark.parametrize(
    "arguments", [("demo",), ("call", "ws://127.0.0.1:9/"), ("listen", "--port", "0")]
)
def test_without_trio_it_says_what_to_install(
    plivo: Plivo, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "t")
    monkeypatch.setenv("PLIVO_PUBLIC_URL", "https://example.com")
    monkeypatch.setitem(sys.modules, "trio", None)
    done = plivo(*arguments, "--backend", "trio")
    assert done.status == 2
    assert "pip install 'plivo-sansio[trio]'" in done.err


def test_without_click_it_says_what_to_install(
    plivo: Plivo, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def no_click(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "click":
            raise ModuleNotFoundError("No module named 'click'", name="click")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", no_click)
    done = plivo("demo")
    assert done.status == 2
    assert "pip install 'plivo-sansio[cli]'" in done.err


@pytest.mark.parametrize("module", ["click", "plivo_anyio._cli._main"])
def test_ctrl_c_while_it_still_imports(
    plivo: Plivo, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    real = builtins.__import__

    def interrupted(name: str, *arguments: Any, **options: Any) -> Any:
        if name == module:
            raise KeyboardInterrupt
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    done = plivo("demo")
    assert (done.status, done.out, done.err) == (130, "", "")


def test_importing_the_adapter_imports_neither_click_nor_the_command_line() -> None:
    program = (
        "import sys, plivo_anyio\n"
        "assert 'click' not in sys.modules\n"
        "assert not [name for name in sys.modules if name.startswith('plivo_anyio._cli')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_the_console_script_is_the_same_command_line() -> None:
    scripts = importlib.metadata.distribution("plivo-sansio").entry_points
    (script,) = [point for point in scripts if point.group == "console_scripts"]
    assert (script.name, script.value) == ("plivo-sansio", "plivo_anyio._cli:main")
