"""A voice agent without ``async``: sync handlers, and a database that blocks.

    python examples/sync_handlers.py --port 9000 --backend asyncio

The sync handlers of a call share one thread, so they may block: other calls have threads of their
own. Commands may be given there as anywhere; they leave in the order in which they were given.
"""

from __future__ import annotations

import argparse
import sqlite3
import threading

from plivo_anyio import CallSession, VoiceApp
from plivo_core.events import AgentSessionStarted, Dtmf, ToolCall

app = VoiceApp()


class Orders:
    """Some shop's orders. The connection belongs to the program, so its threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, status TEXT)")
        self._db.execute("INSERT INTO orders VALUES ('A-1001', 'shipped'), ('A-1002', 'packed')")

    def status(self, order_id: str) -> str | None:
        """Blocks, as any client of a database does that is not written for an event loop."""
        with self._lock:
            query = "SELECT status FROM orders WHERE id = ?"
            row = self._db.execute(query, (order_id,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        self._db.close()


orders = Orders()


@app.on_connect  # nothing runs before it; a tool need not wait for the handler below
def connected(session: CallSession) -> None:
    session.data["questions"] = 0


@app.on(AgentSessionStarted)
def started(session: CallSession, event: AgentSessionStarted) -> None:
    session.speak("Which order is it?")


@app.tool("check_order")
def check_order(session: CallSession, call: ToolCall) -> dict[str, str]:
    session.speak("One moment, please.")  # leaves now, not when this returns
    session.data["questions"] += 1
    return {"status": orders.status(str(call.arguments.get("order_id"))) or "no such order"}


@app.on(Dtmf)
def key_pressed(session: CallSession, event: Dtmf) -> None:
    if event.digit == "0":
        session.speak(f"You asked {session.data['questions']} times. Goodbye!")
        session.hangup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    app.run(options.host, options.port, backend=options.backend)
