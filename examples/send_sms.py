"""Send an SMS, then see what became of it.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... python examples/send_sms.py +14155550100 +14155550101 Hello
"""

from __future__ import annotations

import sys

from plivo_core.errors import AmbiguousOutcomeError
from plivo_httpx_adapter import Client


def main(src: str, dst: str, text: str) -> None:
    with Client() as client:
        try:
            created = client.messages.create(src=src, dst=dst, text=text)
        except AmbiguousOutcomeError as error:
            # Plivo may have it: sending again could send it twice.
            sys.exit(str(error))
        for uuid in created.message_uuid:
            message = client.messages.get(uuid)
            print(f"{message.message_uuid}: {message.message_state}, {message.units} unit(s)")


if __name__ == "__main__":
    main(*sys.argv[1:])
