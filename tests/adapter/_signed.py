"""Apps with webhooks, and requests to them over sockets, signed as Plivo signs."""

from __future__ import annotations

import itertools
from typing import Any

from anyio.abc import ByteStream

from plivo_anyio import VoiceApp
from plivo_core import Rejected, Upgraded
from tests.adapter._caller import Caller
from tests.adapter._http import Answer, ask
from tests.webhooks._hooks import Hook, a_hook, a_verifier

_nonces = itertools.count(1)


def an_app(**options: Any) -> VoiceApp:
    """An app whose webhooks are signed with the token of ``a_hook``."""
    return VoiceApp(**{"path": "/call", "webhooks": a_verifier(), **options})


def a_new_hook(form: Any = None, **options: Any) -> Hook:
    """A signed request with a nonce that was not used before in this process."""
    return a_hook(form, **{"nonce": f"9{next(_nonces):019}", **options})


async def posts(port: int | ByteStream, hook: Hook) -> Answer:
    """Send the request on a connection of its own."""
    headers = tuple(hook.headers)
    return await ask(port, hook.target, hook.method, body=hook.body, headers=headers)


async def status_of_upgrade(caller: Caller) -> int:
    """101, or the status of the refusal, whose body must be empty."""
    answer = await caller.receives()
    if isinstance(answer, Upgraded):
        await caller.closes()
        return 101
    assert isinstance(answer, Rejected)
    assert answer.response.body == b""
    return answer.response.status
