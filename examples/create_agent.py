"""Create an agent of each kind: full pipeline, your own model, speech to speech, plain audio.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... python examples/create_agent.py full wss://me.example.com/ws

Without ``api_key`` the platform uses its own accounts with the providers.
"""

from __future__ import annotations

import sys

from plivo_core.agent import (
    CollectEmail,
    EndCall,
    IdleTimeout,
    Llm,
    Pipeline,
    S2s,
    Stream,
    Stt,
    Tts,
)
from plivo_httpx_adapter import Client

PROMPT = "You are the friendly receptionist of a bakery. Be brief."

KINDS = {
    # The platform listens, thinks and speaks; your WebSocket answers tool calls.
    "full": Pipeline(
        stt=Stt("deepgram", model="nova-3", language="en"),
        llm=Llm("openai", model="gpt-4o", system_prompt=PROMPT, tools=[EndCall()]),
        tts=Tts("elevenlabs", voice="Rachel"),
        agent_tools=[CollectEmail()],
        welcome_greeting="Good morning, what can I bake for you?",
        semantic_vad="high",
        idle_timeout=IdleTimeout(no_response_timeout_s=15, max_retries=2),
    ),
    # The platform listens and speaks; your WebSocket gets transcripts and streams the replies.
    "byollm": Pipeline(
        stt=Stt("deepgram"),
        tts=Tts("cartesia"),
        idle_timeout=IdleTimeout(reminder_message="Are you still there?"),
    ),
    # One model that hears and speaks.
    "s2s": Pipeline(
        s2s=S2s("openai_realtime", model="gpt-realtime", voice="alloy", system_prompt=PROMPT),
    ),
    # No model at all: your WebSocket gets the caller's audio and sends its own.
    "audio": Pipeline(stream=Stream(content_type="audio/x-mulaw;rate=8000")),
}


def main(kind: str, websocket_url: str) -> None:
    pipeline = KINDS[kind]
    pipeline.validate()  # the rules between the parts, before anything is sent
    with Client() as client:
        agent = client.agent.agents.create(
            f"bakery-{kind}", websocket_url=websocket_url, **pipeline.to_body()
        )
        print(f"{agent.agent_name}: {agent.agent_uuid}")


if __name__ == "__main__":
    main(*sys.argv[1:])
