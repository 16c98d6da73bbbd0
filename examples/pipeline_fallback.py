"""An agent whose providers have stand-ins, tried in this order when one fails.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... \\
    python examples/pipeline_fallback.py wss://me.example.com/ws
"""

from __future__ import annotations

import sys

from plivo_core.agent import Llm, Pipeline, Stt, Tts
from plivo_httpx_adapter import Client

PROMPT = "Be kind."

PIPELINE = Pipeline(
    stt=Stt("deepgram", model="nova-3"),
    stt_fallback=[Stt("google"), Stt("azure")],
    llm=Llm("openai", model="gpt-4o", system_prompt=PROMPT),
    llm_fallback=[Llm("groq", system_prompt=PROMPT), Llm("anthropic", system_prompt=PROMPT)],
    tts=Tts("elevenlabs"),
    tts_fallback=[Tts("cartesia"), Tts("openai")],
)


def main(websocket_url: str) -> None:
    PIPELINE.validate()
    with Client() as client:
        agent = client.agent.agents.create(
            "with-fallbacks", websocket_url=websocket_url, **PIPELINE.to_body()
        )
        print(agent.agent_uuid)


if __name__ == "__main__":
    main(*sys.argv[1:])
