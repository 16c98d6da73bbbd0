"""An agent that uses the tools of MCP servers: one over HTTP, one that the platform runs.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... MCP_API_KEY=... \\
    python examples/pipeline_mcp.py wss://me.example.com/ws
"""

from __future__ import annotations

import os
import sys

from plivo_core.agent import Llm, McpHttp, McpStdio, Pipeline, Stt, Tts
from plivo_httpx_adapter import Client


def main(websocket_url: str) -> None:
    pipeline = Pipeline(
        stt=Stt("deepgram"),
        llm=Llm("openai", model="gpt-4o", system_prompt="Look orders up before you answer."),
        tts=Tts("cartesia"),
        mcp_servers=[
            McpHttp(
                "https://mcp.example.com",
                allowed_tools=["find_order"],
                headers={"X-Api-Key": os.environ["MCP_API_KEY"]},
                timeout=5,
            ),
            McpStdio("npx", args=["-y", "@example/weather"]),
        ],
    )
    pipeline.validate()
    print(pipeline)  # keys and header values are masked
    with Client() as client:
        agent = client.agent.agents.create(
            "with-mcp", websocket_url=websocket_url, **pipeline.to_body()
        )
        print(agent.agent_uuid)


if __name__ == "__main__":
    main(*sys.argv[1:])
