"""The recorded sequences: the same events, identity and end by texts and by bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plivo_core import Ended, InvalidMessage, Session
from tests.core.calls import a_call, bytes_of, close_codes, close_frame, events_of, frame, the_end

SEQUENCES = json.loads((Path(__file__).parents[1] / "vectors" / "events.json").read_text("utf-8"))[
    "sequences"
]
sequences = pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence["id"])


def text_of(wire: dict[str, Any]) -> str:
    return str(wire["$text"]) if "$text" in wire else json.dumps(wire)


def check(session: Session, events: list[Any], expect: dict[str, Any]) -> None:
    dispatched = [e.type for e in events if not isinstance(e, Ended | InvalidMessage)]
    assert dispatched == expect["dispatched"]
    reasons = [event.reason for event in events if isinstance(event, InvalidMessage)]
    assert reasons == expect.get("errors", [])
    assert {
        "agent_session_id": session.agent_session_id,
        "call_uuid": session.call_uuid,
        "stream_id": session.stream_id,
    } == expect["session"]


@sequences
def test_a_session_reads_every_sequence_as_recorded(sequence: dict[str, Any]) -> None:
    session, events = Session(now=0), []
    expect = sequence["expect"]
    for wire in sequence["frames"]:
        if "$close" in wire:
            session.receive_close(wire["$close"], now=0)
        else:
            session.receive_text(text_of(wire), now=0)
        events += iter(session.next_event, None)

    check(session, events, expect)
    if expect["ended_by"] in ("session.ended", "stop"):
        assert session.closing == (1000, "")
    session.receive_close(1006, now=0)
    ended = the_end([*events, *iter(session.next_event, None)])
    assert ended.cause == (expect["ended_by"] or "close")
    assert ended.error is None


@sequences
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_connection_reads_every_sequence_as_recorded(sequence: dict[str, Any], step: int) -> None:
    conn, events, sent = a_call(), [], b""
    expect = sequence["expect"]
    lost = any("$close" in wire for wire in sequence["frames"])
    data = b"".join(frame(text_of(wire)) for wire in sequence["frames"] if "$close" not in wire)
    for at in range(0, len(data), step):
        conn.receive_data(data[at : at + step], now=0)
        events += events_of(conn)
        sent += bytes_of(conn)

    check(conn.session, events, expect)
    assert close_codes(sent) == ([1000] if expect["ended_by"] in ("session.ended", "stop") else [])
    if lost:
        conn.receive_eof(now=0)
    else:
        conn.receive_data(close_frame(), now=0)
    ended = the_end([*events, *events_of(conn)])
    assert ended.cause == (expect["ended_by"] or "close")
    assert ended.code == (1006 if lost else 1000)
