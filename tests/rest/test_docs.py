"""The code of docs/rest.md runs, in order, against a local server."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.rest._drivers import AUTH_ID, AUTH_TOKEN
from tests.rest._server import Answer, Server

DOCS = Path(__file__).parents[2] / "docs" / "rest.md"


def test_the_code_of_the_docs_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert len(others) == 2
    program = first + "\nasync with AsyncClient() as client:\n"
    program += textwrap.indent("\n".join(others), "    ")
    names: dict[str, Any] = {"agent_uuid": "a1", "message_uuid": "m1"}
    exec(f"async def main():\n{textwrap.indent(program, '    ')}", names)
    failed = {"message_uuid": "m2", "error_code": "30"}
    with Server(
        Answer(202, {"message_uuid": ["m1"]}),
        Answer(200, {"agent_uuid": "a1"}),
        Answer(200, {"message_uuid": "m1"}),
        Answer(200, {"meta": {"next": None}, "objects": [failed]}),
    ) as server:
        monkeypatch.setenv("PLIVO_AUTH_ID", AUTH_ID)
        monkeypatch.setenv("PLIVO_AUTH_TOKEN", AUTH_TOKEN)
        monkeypatch.setenv("PLIVO_API_URL", server.url)
        anyio.run(names["main"])
        assert len(server.requests) == 4
    assert capsys.readouterr().out == "['m1']\nm2 30\n"
