"""The demo is an acceptance test of its own: it must notice what does not happen."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from plivo_anyio import VoiceApp
from plivo_anyio._cli import _demo, main


def measured(command: list[str], output: Path) -> tuple[int, float]:
    """Run it; its exit status, and its seconds, less those for which others had the processor."""
    with output.open("w") as out:
        began, waited = time.perf_counter(), 0
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            while process.poll() is None:
                with suppress(OSError):  # Linux only, and gone with the process
                    schedule = Path(f"/proc/{process.pid}/schedstat").read_text()
                    waited = int(schedule.split()[1])  # nanoseconds on the run queue
                time.sleep(0.01)
            return process.returncode, time.perf_counter() - began - waited / 1e9
        finally:
            process.kill()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_demo_shows_the_whole_circle_in_under_five_seconds(
    backend: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-m", "plivo_anyio", "demo", "--backend", backend]
    status, seconds = measured(command, tmp_path / "output")
    output = (tmp_path / "output").read_text()
    assert status == 0, output
    assert output.splitlines()[-1].startswith("23 of 23 steps observed"), output
    assert seconds < 5.0


def test_json_output_is_one_object_per_line_with_times_and_directions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--json"]) == 0
    *messages, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert last["summary"]["ok"] is True
    passed = [line for line in messages if "from" in line]
    assert [m["name"] for m in passed if m["from"] == "agent"] == [
        "agent_session.update",
        "tool.result",
        "agent_session.speak",
        "agent_session.speak",
        "tool.result",
        "agent_session.hangup",
    ]
    assert [m["at"] for m in passed] == sorted(m["at"] for m in passed)
    assert {(m["from"], m["to"]) for m in passed} == {
        ("agent", "platform"),
        ("platform", "agent"),
    }
    assert [line["rest"]["status"] for line in messages if "rest" in line] == [
        201, 200, 201, 201, 201, 200,
    ]  # fmt: skip
    assert [line["callback"] for line in messages if "callback" in line][-1]["status"] == 200


def test_the_transcript_masks_digits_and_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    passed = [line for line in lines if line.startswith((" ", "rest", "call"))]
    assert len(passed) > 40
    assert all(len(line) <= 80 for line in passed)
    assert '"digit": "1"' not in "\n".join(lines)


def test_an_agent_that_does_nothing_fails_the_demo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_demo, "make_app", lambda seen, verifier: VoiceApp())
    monkeypatch.setattr(_demo, "_PATIENCE", 0.5)
    monkeypatch.setattr(_demo, "script", _in_a_hurry)
    assert main(["demo"]) == 1
    out = capsys.readouterr().out
    assert "MISSED  the hang-up" in out
    assert "MISSED  on_disconnect ran once" in out
    assert "MISSED  a signed callback told of the hang-up" in out
    assert "ok      REST: a number was bought" in out


def test_without_httpx_the_demo_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "httpx" else find_spec(name)
    )
    assert main(["demo"]) == 2
    assert "pip install 'plivo-sansio[httpx]'" in capsys.readouterr().err


_real_script = _demo.script


def _in_a_hurry() -> list[object]:
    from dataclasses import replace

    from plivo_core.platform import Expect, HangUp

    steps = [replace(s, within=0.01) if isinstance(s, Expect) else s for s in _real_script()]
    return [*steps, HangUp()]


def test_the_demo_needs_no_account() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PLIVO_")}
    run = subprocess.run(
        [sys.executable, "-m", "plivo_anyio", "demo", "--json"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0
