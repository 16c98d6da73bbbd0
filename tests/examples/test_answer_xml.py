"""examples/answer_xml.py prints well-formed answers, in which a caller's name stays a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "answer_xml.py"


@pytest.fixture(scope="module")
def answers() -> dict[str, ElementTree.Element]:
    """What the program prints, parsed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    lines = [line.partition(": ") for line in done.stdout.splitlines()]
    return {title: ElementTree.fromstring(text.encode()) for title, _, text in lines}


def tags(answer: ElementTree.Element) -> list[str]:
    assert answer.tag == "Response"
    return [verb.tag for verb in answer]


def test_every_flow_has_its_verbs(answers: dict[str, ElementTree.Element]) -> None:
    assert {title: tags(answer) for title, answer in answers.items()} == {
        "menu": ["GetDigits", "Speak"],
        "assistant": ["Stream", "Speak", "Hangup"],
        "human": ["Dial", "Speak", "Record"],
        "again": ["Redirect"],
        "rejected": ["Hangup"],
        "hold": ["Wait", "Play"],
    }


def test_a_callers_name_is_spoken_and_nothing_else(
    answers: dict[str, ElementTree.Element],
) -> None:
    [prompt] = answers["menu"][0]
    assert prompt.text is not None
    assert prompt.text.startswith("Hello Ann & <Bob>. Press 1")


def test_the_key_leads_to_the_call_it_was_pressed_in(
    answers: dict[str, ElementTree.Element],
) -> None:
    stream, dial = answers["assistant"][0], answers["human"][0]
    assert stream.text == "wss://agent.example.com/call?call_uuid=c-1"
    assert stream.get("contentType") == "audio/x-l16;rate=16000"
    assert dial.get("callerId") == "+14155550199"
    assert answers["menu"][0].get("action") == "https://agent.example.com/menu#ct=1000&rt=5000&rc=2"
