"""A managed voice agent for a shop: looks orders up, refunds them, presses keys, transfers, ends.

    python examples/order_agent.py --port 9000 --backend asyncio

The platform listens, thinks and speaks; this server tells it what it may call and answers those
calls. The model can only propose a refund: the caller grants it by pressing 1.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from dataclasses import dataclass

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Event
from plivo_core.agent import EndCall, SendDtmf, WarmTransfer
from plivo_core.events import AgentSessionStarted, Dtmf, Interruption, ToolCall, TurnMetrics

logger = logging.getLogger("order_agent")


@dataclass
class Order:
    status: str
    total: str


ORDERS = {
    "A-1001": Order("left the warehouse this morning", "42.00 USD"),
    "A-1002": Order("delivered on Monday", "19.90 USD"),
}

end_call = EndCall("Thank you for calling. Goodbye!")
keypad = SendDtmf()
human = WarmTransfer("+14155550123", timeout=20)


def order_tool(name: str, description: str) -> dict[str, object]:
    order_id = {"type": "string", "description": "The order number, for example A-1001."}
    return {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {"order_id": order_id},
            "required": ["order_id"],
        },
    }


TOOLS = [
    order_tool("check_order", "Look up where an order is and what it cost."),
    order_tool("refund_order", "Propose a refund; the caller confirms it on the keypad."),
    end_call.tool,
    keypad.tool,
    human.tool,
]
PROMPT = " ".join(
    [
        "You answer calls about orders. Ask for the order number first.",
        end_call.instructions,
        keypad.instructions,
        human.instructions,
    ]
)

app = VoiceApp()


@app.on_connect
async def connected(session: CallSession) -> None:
    session.data["counts"] = Counter[str]()


@app.on(AgentSessionStarted)
async def started(session: CallSession, event: AgentSessionStarted) -> None:
    session.update(system_prompt=PROMPT, tools=TOOLS, events={"metrics_events": True})


@app.tool("check_order")
async def check_order(session: CallSession, call: ToolCall) -> dict[str, str]:
    order = ORDERS.get(str(call.arguments.get("order_id")))
    if order is None:
        return {"status": "there is no such order"}
    return {"status": order.status, "total": order.total}


# In order with the keys: a key pressed before the question must not answer it.
@app.tool("refund_order", ordered=True)
async def refund_order(session: CallSession, call: ToolCall) -> dict[str, str]:
    order_id = str(call.arguments.get("order_id"))
    if order_id not in ORDERS:
        return {"status": "there is no such order"}
    session.data["refund"] = order_id
    return {"status": "not confirmed", "next": "Ask the caller to press 1, or 2 to keep the order."}


@app.on(Dtmf)
async def key_pressed(session: CallSession, event: Dtmf) -> None:
    order_id = session.data.pop("refund", None)
    if order_id is None:
        return
    if event.digit == "1":
        ORDERS[order_id].status = "refunded"
        session.data["counts"]["refunds"] += 1
        session.speak("Your refund is on its way.")
        session.inject(f"The caller confirmed: order {order_id} is refunded.")
    else:
        session.inject(f"The caller declined: order {order_id} is not refunded.")


@app.tool("end_call")
async def goodbye(session: CallSession, call: ToolCall) -> None:
    end_call.handle(session, call)


@app.tool("send_dtmf")
async def press_keys(session: CallSession, call: ToolCall) -> None:
    keypad.handle(session, call)


@app.tool("transfer_to_human")
async def transfer(session: CallSession, call: ToolCall) -> None:
    human.handle(session, call)


@app.on(Interruption)
async def barge_in(session: CallSession, event: Interruption) -> None:
    session.data["counts"]["barge-ins"] += 1
    logger.info("%s: barge-in after %s s", session.call_uuid, event.playback_position_s)


@app.on(TurnMetrics)
async def metrics(session: CallSession, event: TurnMetrics) -> None:
    answer_ms = event.user_perceived_ms
    logger.info("%s: turn %s took %s ms", session.call_uuid, event.turn_number, answer_ms)


@app.on_handler_error
async def failed(session: CallSession, event: Event | None, error: Exception) -> None:
    what = type(event).__name__
    logger.error("%s: the handler of %s failed", session.call_uuid, what, exc_info=error)


@app.on_disconnect
async def summary(session: CallSession) -> None:
    cause = session.ended.cause if session.ended else "unknown"
    logger.info("%s: over (%s), %s", session.call_uuid, cause, dict(session.data["counts"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    app.run(options.host, options.port, backend=options.backend)
