"""Drive the REST core by the standard library alone: embed_rest_urllib.py MESSAGE_UUID."""

import sys
import time
from http.client import HTTPException
from os import environ as e
from typing import Any
from urllib.request import HTTPErrorProcessor, Request, build_opener

from plivo_core.rest import Account, Cause, Done, Operation, Response, Send, Sent, SleepUntil


class AnyStatus(HTTPErrorProcessor):  # an answer is an answer: no exceptions, no redirects
    def http_response(self, request: Request, response: Any) -> Any:
        return response

    https_response = http_response


def run(op: Operation[Any]) -> Any:
    step = op.begin(now=time.monotonic())
    while isinstance(step, (Send, SleepUntil)):
        if isinstance(step, SleepUntil):
            time.sleep(max(0.0, step.at - time.monotonic()))
            step = op.wake(now=time.monotonic())
            continue
        r = Request(op.request.url, op.request.body, dict(op.request.headers), method=op.method)
        try:
            with build_opener(AnyStatus).open(r, timeout=30) as answer:
                body = answer.read(1_000_000)
                whole = not answer.read(1) and not answer.length
                response = Response(answer.status, answer.getheaders(), body, complete=whole)
            step = op.responded(response, now=time.monotonic(), wall_now=time.time())
        except (OSError, HTTPException):  # urllib does not tell whether the request had left
            step = op.lost(Cause.BROKEN, Sent.MAYBE, now=time.monotonic())
    return step.value if isinstance(step, Done) else sys.exit(str(step.error))


account = Account(e["PLIVO_AUTH_ID"], e["PLIVO_AUTH_TOKEN"], base_url=e["PLIVO_API_URL"])
print(run(account.messages.get(sys.argv[1])))
