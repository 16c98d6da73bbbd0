"""What ``call`` holds: nothing of calls that are over."""

from __future__ import annotations

import gc
import ssl
import weakref

from plivo_anyio._cli._caller import Caller
from plivo_anyio._cli._output import Output
from plivo_anyio._cli._questions import Ears
from plivo_anyio._cli._report import Report
from plivo_anyio._cli._target import parse_url
from plivo_core.platform import PlatformCall


def a_caller() -> Caller:
    target = parse_url("ws://127.0.0.1:9/", ssl.create_default_context())
    return Caller(1, PlatformCall(mode="stream"), target, Ears(), timeout=5)


def test_a_call_that_is_over_is_forgotten_but_for_its_outcome() -> None:
    report, caller = Report(Output(as_json=True), wanted=1), a_caller()
    report.placed(caller)
    gone = weakref.ref(caller)
    del caller
    gc.collect()
    assert gone() is None
    assert [outcome.number for outcome in report.outcomes] == [1]
