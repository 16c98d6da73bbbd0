"""The demo is an acceptance test of its own: it must notice what does not happen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from plivo_anyio import VoiceApp
from plivo_anyio._cli import _demo, main


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_demo_observes_every_step_in_under_two_seconds(backend: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "plivo_anyio", "demo", "--backend", backend]
    elapsed: list[float] = []
    while len(elapsed) < 3 and min(elapsed, default=2.0) >= 2.0:  # the machine may be busy
        started = time.perf_counter()
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        elapsed.append(time.perf_counter() - started)
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stderr == ""
        assert "17 of 17 steps observed" in run.stdout
    assert min(elapsed) < 2.0


def test_json_output_is_one_object_per_line_with_times_and_directions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--json"]) == 0
    *messages, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert last["summary"]["ok"] is True
    assert [m["name"] for m in messages if m["from"] == "agent"] == [
        "agent_session.update",
        "tool.result",
        "agent_session.speak",
        "agent_session.speak",
        "tool.result",
        "agent_session.hangup",
    ]
    assert [m["at"] for m in messages] == sorted(m["at"] for m in messages)
    assert {(m["from"], m["to"]) for m in messages} == {
        ("agent", "platform"),
        ("platform", "agent"),
    }


def test_the_transcript_masks_digits_and_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert '"digit": "1"' not in "\n".join(lines)


def test_an_agent_that_does_nothing_fails_the_demo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_demo, "make_app", lambda seen: VoiceApp())
    monkeypatch.setattr(_demo, "script", _in_a_hurry)
    assert main(["demo"]) == 1
    out = capsys.readouterr().out
    assert "MISSED  the hang-up" in out
    assert "MISSED  on_disconnect ran once" in out


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
