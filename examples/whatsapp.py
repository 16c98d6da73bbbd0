"""Send WhatsApp messages: a template, reply buttons, a location.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... python examples/whatsapp.py +14155550100 +14155550101
"""

from __future__ import annotations

import sys

import anyio

from plivo_core.messaging import InteractiveMessage, Location, Template
from plivo_httpx_adapter import AsyncClient


async def main(src: str, dst: str) -> None:
    order = Template("order_shipped", "en_US").add_body_param("Ann").add_body_param("A-1042")
    question = InteractiveMessage.button(
        "When shall we deliver?",
        [{"id": "am", "title": "Morning"}, {"id": "pm", "title": "Afternoon"}],
        footer_text="Tap one",
    )
    depot = Location(37.4485, -122.1594, name="Depot", address="1 University Ave, Palo Alto")
    async with AsyncClient() as client:
        create = client.messages.create
        for created in (
            await create(src=src, dst=dst, type="whatsapp", template=order),
            await create(src=src, dst=dst, type="whatsapp", interactive=question),
            await create(src=src, dst=dst, type="whatsapp", location=depot),
        ):
            print(*created.message_uuid)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
