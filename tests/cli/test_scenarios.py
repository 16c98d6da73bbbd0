"""``call --scenario``: what TOML says is played, and what is wrong in it is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from plivo_anyio import VoiceApp
from plivo_core.audio import PCM_16K, wav_bytes
from tests.cli._servers import a_server, an_agent, reads_head, serving
from tests.cli.conftest import Plivo

ECHO = """
title = "an echo"
[call]
mode = "stream"
[[steps]]
play = "hello.wav"
[[steps]]
expect = "playAudio"
label = "the echo"
"""
HELLO = """
[[steps]]
press = "5"
[[steps]]
expect = "agent_session.speak"
label = "an answer"
within = 5
"""
MISSED = HELLO.replace("within = 5", "within = 0.3")


def a_file(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def test_a_scenario_is_played_and_its_steps_are_listed(
    plivo: Plivo, tmp_path: Path, backend: str
) -> None:
    with serving(an_agent()) as url:
        done = plivo("call", url, "--scenario", a_file(tmp_path, HELLO), "--backend", backend)
    assert done.status == 0, done.out
    assert "ok      an answer" in done.out
    assert "1 of 1 calls placed, 1 answered, 1 completed" in done.out


def test_many_calls_play_it_each_for_itself(plivo: Plivo, tmp_path: Path) -> None:
    with serving(an_agent()) as url:
        done = plivo(
            "call", url, "--scenario", a_file(tmp_path, HELLO), "--calls", 5, "--rate", 50, "--json"
        )
    assert done.status == 0, done.out
    assert done.summary["completed"] == 5
    assert done.summary["latency_ms"]["answer"]["count"] >= 5


def test_a_step_that_is_missed_is_named_with_what_came(
    plivo: Plivo, tmp_path: Path, backend: str
) -> None:
    with serving(VoiceApp()) as url:
        path = a_file(tmp_path, MISSED)
        done = plivo("call", url, "--scenario", path, "--json", "--backend", backend)
    assert done.status == 1
    assert done.missed["step"] == "an answer"
    assert done.missed["came"].startswith("nothing for 0.3 s")


def test_wav_files_beside_the_scenario_are_its_sounds(plivo: Plivo, tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_bytes(b"\1\2" * 1600, PCM_16K))  # 100 ms
    for format, more in (("mulaw_8k", ""), ("pcm_16k", 'format = "pcm_16k"\n')):
        path = a_file(tmp_path, ECHO.replace('mode = "stream"\n', f'mode = "stream"\n{more}'))
        with serving(an_agent()) as url:
            done = plivo("call", url, "--scenario", path, "--json")
        assert done.status == 0, (format, done.out)
        assert done.summary["media_sent"] == 5


@pytest.mark.parametrize(
    ("behave", "came"),
    [
        (reads_head, "the connection closed without a word"),
        (lambda peer: peer.recv(1) and peer.recv(9999) and peer.recv(1), "nothing within 0.3 s"),
    ],
)
def test_a_server_that_does_not_take_the_call(
    plivo: Plivo, tmp_path: Path, backend: str, behave: object, came: str
) -> None:
    with a_server(behave) as url:  # type: ignore[arg-type]
        done = plivo(
            "call", url, "--scenario", a_file(tmp_path, HELLO), "--timeout", "0.3", "--json",
            "--backend", backend,
        )  # fmt: skip
    assert done.status == 1
    assert (done.missed["expected"], done.missed["came"]) == ("101 Switching Protocols", came)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HELLO.replace("press =", "pres ="), ("line 3", "did you mean 'press'?")),
        (ECHO, ("line 6", "hello.wav")),
        ("not toml", ("line 1",)),
        ("", ("no steps",)),
    ],
)
def test_what_cannot_be_played_is_wrong_usage(
    plivo: Plivo, tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    path = a_file(tmp_path, text)
    done = plivo("call", "ws://127.0.0.1:9/", "--scenario", path)
    assert done.status == 2
    said = " ".join(done.err.split())
    assert [part for part in (str(path), *says) if part not in said] == []
    both = plivo("call", "ws://127.0.0.1:9/", "--scenario", path, "--say", "x")
    assert "give it alone" in both.err
