"""Let an agent call someone, then wait until the conversation is over.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... \\
    python examples/outbound_call.py AGENT_UUID +14155550100 +14155550101
"""

from __future__ import annotations

import sys

import anyio

from plivo_httpx_adapter import AsyncClient

POLL = 2.0  # seconds


async def main(agent_uuid: str, from_: str, to: str) -> None:
    async with AsyncClient() as client:
        call = await client.agent.calls.initiate(agent_uuid, from_=from_, to=to, ring_timeout=30)
        print(f"calling: {call.call_uuid}")
        while True:
            sessions = await client.agent.sessions.list(call_uuid=call.call_uuid)
            if sessions.objects and sessions.objects[0].ended_at is not None:
                break
            await anyio.sleep(POLL)
        session = sessions.objects[0]
        print(f"over after {session.duration_seconds} s and {session.turn_count} turns")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
