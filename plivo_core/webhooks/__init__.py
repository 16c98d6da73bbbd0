"""Webhooks, pure: which requests are Plivo's, what they say, and what to answer.

:class:`WebhookVerifier` first, :class:`ReplayGuard` behind it; :func:`parse_callback` types what a
verified request carries, :class:`AnswerXml` is what a call is told to do. :class:`WebhookEndpoint`
is all of them in their order. :class:`StreamTokens` guard the WebSocket URL. Nothing here sends,
waits, reads a clock or fetches a URL.
"""

from plivo_core.webhooks._callback import Callback, CallbackParameters
from plivo_core.webhooks._callbacks import (
    AnswerCallback,
    CallbackKind,
    DialCallback,
    DigitsCallback,
    HangupCallback,
    IncomingMessage,
    MachineDetectionCallback,
    MessageStatus,
    RecordingCallback,
    RingCallback,
    StreamStatus,
    VoiceCallback,
    parse_callback,
)
from plivo_core.webhooks._dial import Dial, Number, User
from plivo_core.webhooks._endpoint import (
    Settled,
    WebhookAnswer,
    WebhookEndpoint,
    answer_webhook,
)
from plivo_core.webhooks._explanation import Difference, Explanation
from plivo_core.webhooks._fetch import (
    FetchOptions,
    Repeatable,
    split_fetch_options,
    with_fetch_options,
)
from plivo_core.webhooks._frameworks import (
    request_from_asgi,
    request_from_lambda,
    request_from_wsgi,
)
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
from plivo_core.webhooks._stream import Stream
from plivo_core.webhooks._tokens import StreamToken, StreamTokens
from plivo_core.webhooks._verbs import GetDigits, Hangup, Play, Record, Redirect, Speak, Wait
from plivo_core.webhooks._verifier import (
    Verified,
    VerifiedScheme,
    WebhookVerifier,
    check_origin,
    refusal,
)
from plivo_core.webhooks._xml import MAX_ANSWER_XML, XML_CONTENT_TYPE, AnswerXml, Element, Verb

__all__ = [
    "MAX_ANSWER_XML",
    "XML_CONTENT_TYPE",
    "AnswerCallback",
    "AnswerXml",
    "Answered",
    "Callback",
    "CallbackKind",
    "CallbackParameters",
    "Dial",
    "DialCallback",
    "Difference",
    "DigitsCallback",
    "Element",
    "Explanation",
    "FetchOptions",
    "FirstSeen",
    "GetDigits",
    "Hangup",
    "HangupCallback",
    "HeaderPairs",
    "InProgress",
    "IncomingMessage",
    "MachineDetectionCallback",
    "MemoryStore",
    "MessageStatus",
    "Number",
    "Outcome",
    "Params",
    "Play",
    "Record",
    "RecordingCallback",
    "Redirect",
    "Repeatable",
    "ReplayGuard",
    "RingCallback",
    "Settled",
    "Speak",
    "Store",
    "Stream",
    "StreamStatus",
    "StreamToken",
    "StreamTokens",
    "User",
    "Verb",
    "Verified",
    "VerifiedScheme",
    "VoiceCallback",
    "Wait",
    "WebhookAnswer",
    "WebhookEndpoint",
    "WebhookVerifier",
    "answer_webhook",
    "check_origin",
    "parse_callback",
    "refusal",
    "request_from_asgi",
    "request_from_lambda",
    "request_from_wsgi",
    "sign_v2",
    "sign_v3",
    "split_fetch_options",
    "validate_signature_v2",
    "validate_signature_v3",
    "with_fetch_options",
]
