"""Plays scenarios under a clock turned by hand: no socket, no waiting, no luck."""

from __future__ import annotations

from collections.abc import Callable

from plivo_core.commands import SessionCommands
from plivo_core.connection import ServerConnection
from plivo_core.events import Event
from plivo_core.platform import Scenario, ScenarioResult, ScenarioRun
from plivo_core.wire import RequestReceived

__all__ = ["play_scenario"]


def play_scenario(
    scenario: Scenario,
    react: Callable[[SessionCommands, Event], object],
    *,
    server: ServerConnection | None = None,
    now: float = 0.0,
) -> ScenarioResult:
    """Play ``scenario`` against ``server`` (default: a new one) and the agent ``react``.

    ``react(session, event)`` gets every event of the call and answers by the session's commands.
    Time passes as fast as the loop turns, from ``now`` on; neither end knows the difference.
    """
    conn = server or ServerConnection(now=now)
    run = ScenarioRun(scenario, random_bytes=bytes, now=now)
    eof = False  # the caller's: nothing more reaches the server
    while True:
        moved = False
        while data := run.data_to_send():
            conn.receive_data(data, now=now)
            _answer(conn, react, now)
            moved = True
        if run.next_action() is not None:  # dropped or half-closed: to a server both are an end
            conn.receive_eof(now=now)
            _answer(conn, react, now)
            eof = True
        if run.reading and not run.finished:
            while data := conn.data_to_send():
                run.receive_data(data, now=now)
                moved = True
            if conn.should_close_transport:
                run.receive_eof(now=now)
        if moved:
            continue
        if run.finished:
            if not eof:
                conn.receive_eof(now=now)
                _answer(conn, react, now)
            return run.result
        now = min(due for due in (run.deadline(), conn.deadline()) if due is not None)
        conn.handle_timeout(now=now)
        _answer(conn, react, now)
        run.handle_timeout(now=now)


def _answer(
    conn: ServerConnection, react: Callable[[SessionCommands, Event], object], now: float
) -> None:
    while (event := conn.next_event()) is not None:
        if isinstance(event, RequestReceived):
            conn.accept(now=now)
        else:
            react(conn.session, event)
