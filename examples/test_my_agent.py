"""Tests of order_agent.py: no number, no network, no waiting.

python -m pytest examples/test_my_agent.py
"""

from order_agent import app

from plivo_anyio.testing import ACall
from plivo_core.commands import Inject, Speak, Update

pytest_plugins = ["plivo_anyio.pytest_plugin"]


def test_the_model_learns_where_an_order_is(a_call: ACall) -> None:
    call = a_call(app)
    call.expects(Update, events={"metrics_events": True})
    call.says("Where is A-1001?")
    call.calls_tool("check_order", {"order_id": "A-1001"})
    call.expects_tool("check_order", {"total": "42.00 USD"})


def test_only_the_caller_can_grant_a_refund(a_call: ACall) -> None:
    call = a_call(app)
    call.calls_tool("refund_order", {"order_id": "A-1002"})
    call.expects_tool("refund_order", {"status": "not confirmed"})
    call.expects_no(Speak, during=60)
    call.presses("1")
    call.hears("Your refund is on its way.")
    call.expects(Inject)
    call.hangs_up()
