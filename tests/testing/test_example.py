"""examples/test_my_agent.py, as a user runs it: green, and red where the agent has a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(folder: Path, agent: str) -> tuple[int, str]:
    """pytest on a copy of the example with this agent; exit status and output."""
    (folder / "order_agent.py").write_text(agent, "utf-8")
    example = (EXAMPLES / "test_my_agent.py").read_text("utf-8")
    (folder / "test_my_agent.py").write_text(example, "utf-8")
    path = os.environ.get("PYTHONPATH")
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            str(folder),
        ],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


AGENT = (EXAMPLES / "order_agent.py").read_text("utf-8")


def test_it_has_at_most_thirty_lines() -> None:
    assert len((EXAMPLES / "test_my_agent.py").read_text("utf-8").splitlines()) <= 30


def test_it_is_green(tmp_path: Path) -> None:
    status, told = run(tmp_path, AGENT)
    assert "2 passed" in told
    assert status == 0


@pytest.mark.parametrize(
    ("code", "bug", "complaint"),
    [
        (
            'session.speak("Your refund',
            'session.inject("Your refund',
            "AssertionError: step 5, call.hears('Your refund is on its way.'): not within 2 s",
        ),
        (
            'if event.digit == "1":',
            'if event.digit == "2":',
            "Inject(content='The caller declined: order A-1002 is not refunded.')",
        ),
        (
            '"total": order.total',
            '"total": order.sum',
            "call.expects_tool('check_order', {'total': '42.00 USD'}): the agent answered with an",
        ),
        (
            'session.data["refund"] = order_id',
            'session.speak("Done."); session.data["refund"] = order_id',
            "AssertionError: step 3, call.expects_no(Speak): one came in 60 s",
        ),
    ],
    ids=["silent", "wrong key", "tool raises", "speaks too early"],
)
def test_a_bug_in_the_agent_turns_it_red_and_names_the_step(
    code: str, bug: str, complaint: str, tmp_path: Path
) -> None:
    assert code in AGENT
    status, told = run(tmp_path, AGENT.replace(code, bug))
    assert status == 1
    assert "1 failed, 1 passed" in told
    assert complaint in told
    assert "plivo_anyio/testing" not in told.replace("\\", "/")  # the traceback is the user's
