"""Webhooks, pure: which requests are Plivo's, what they say, and what to answer.

:class:`WebhookVerifier` first, :class:`ReplayGuard` behind it; :func:`parse_callback` types what a
verified request carries, :class:`AnswerXml` is what a call is told to do. :class:`StreamTokens`
guard the WebSocket URL. Nothing here sends, waits, reads a clock or fetches a URL.
"""

from plivo_core.webhooks._explanation import Difference, Explanation
from plivo_core.webhooks._params import Params
from plivo_core.webhooks._reading import HeaderPairs
from plivo_core.webhooks._replay import Answered, FirstSeen, InProgress, Outcome, ReplayGuard
from plivo_core.webhooks._signatures import (
    sign_v2,
    sign_v3,
    validate_signature_v2,
    validate_signature_v3,
)
from plivo_core.webhooks._store import MemoryStore, Store
from plivo_core.webhooks._tokens import StreamToken, StreamTokens
from plivo_core.webhooks._verifier import Verified, VerifiedScheme, WebhookVerifier, refusal

__all__ = [
    "Answered",
    "Difference",
    "Explanation",
    "FirstSeen",
    "HeaderPairs",
    "InProgress",
    "MemoryStore",
    "Outcome",
    "Params",
    "ReplayGuard",
    "Store",
    "StreamToken",
    "StreamTokens",
    "Verified",
    "VerifiedScheme",
    "WebhookVerifier",
    "refusal",
    "sign_v2",
    "sign_v3",
    "validate_signature_v2",
    "validate_signature_v3",
]
