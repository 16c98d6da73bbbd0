"""WebSocket close codes that may travel (RFC 6455 section 7.4)."""

from __future__ import annotations

from plivo_core.errors import LocalProtocolError

__all__ = ["check_close_code", "is_sendable_close_code"]

# 1005, 1006 and 1015 never travel, 1004 is reserved; 1012-1014 came later (IANA).
_SENDABLE_BELOW_3000 = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


def is_sendable_close_code(code: int) -> bool:
    """Whether a Close frame may carry ``code``."""
    return code in _SENDABLE_BELOW_3000 or 3000 <= code <= 4999


def check_close_code(code: int) -> None:
    """Raise LocalProtocolError for a code that no Close frame may carry."""
    if not is_sendable_close_code(code):
        raise LocalProtocolError(
            f"close code {code} cannot be sent", hint="use 1000-1003, 1007-1014 or 3000-4999"
        )
