"""Every callback of the platform, typed (PROTOCOL.md 7.6, 7.7).

Declarations only; how they are read is ``_callback.py``. Texts are ``""`` when missing, everything
else ``None``. Where the documentation lists words (states, events, causes), it lists different ones
in different places: they are open text, and codes are open numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from plivo_core._redact import hide, redact_setting
from plivo_core.errors import ConfigError
from plivo_core.events import Number
from plivo_core.webhooks._callback import (
    CALLBACKS,
    HIDDEN,
    PHONE,
    SIZED,
    Callback,
    CallbackParameters,
    callback,
    many,
)

__all__ = [
    "AnswerCallback",
    "CallbackKind",
    "DialCallback",
    "DigitsCallback",
    "HangupCallback",
    "IncomingMessage",
    "MachineDetectionCallback",
    "MessageStatus",
    "RecordingCallback",
    "RingCallback",
    "StreamStatus",
    "VoiceCallback",
    "parse_callback",
]

CallbackKind: TypeAlias = Literal[
    "answer",
    "dial",
    "digits",
    "hangup",
    "incoming_message",
    "machine_detection",
    "message_status",
    "recording",
    "ring",
    "stream_status",
    "voice",
]


def parse_callback(params: CallbackParameters, kind: CallbackKind) -> Callback:
    """``params`` as the class of that ``kind``; the same as that class's ``parse``.

    The URL says which kind it is, the parameters do not: each is configured apart. Raises
    ConfigError for a kind that does not exist.
    """
    cls = CALLBACKS.get(kind)
    if cls is None:
        raise ConfigError(f"kind must be one of {', '.join(sorted(CALLBACKS))}")
    return cls.parse(params)


# --- voice ----------------------------------------------------------------------------------------


def _as_it_is(found: Mapping[str, str]) -> Mapping[str, str]:
    return found


@callback("voice")
class VoiceCallback(Callback):
    """What every request about a call has; also the class for one that has nothing more.

    ``direction`` is inbound or outbound; ``call_status`` ringing, in-progress, completed, busy,
    failed, timeout or no-answer; ``event`` StartApp, Ring, Hangup, Redirect, MachineDetection and
    others. ``sip_headers`` holds SIP-H-* and X-PH-* by their full names.
    """

    call_uuid: str = ""
    from_: str = field(default="", metadata=PHONE)
    to: str = field(default="", metadata=PHONE)
    direction: str = ""
    call_status: str = ""
    event: str = ""
    request_uuid: str = ""
    a_leg_uuid: str = ""
    a_leg_request_uuid: str = ""
    forwarded_from: str = field(default="", metadata=PHONE)
    caller_name: str = field(default="", metadata=HIDDEN)
    stir_verification: str = ""
    session_start: str = ""
    parent_auth_id: str = ""
    bill_rate: str = ""
    sip_headers: Mapping[str, str] = field(
        default_factory=dict[str, str], metadata=many(r"(?:SIP-H|X-PH)-.+", _as_it_is, hide)
    )


@callback("answer")
class AnswerCallback(VoiceCallback):
    """The call is answered, or was redirected: the platform wants answer XML, within 15 s."""


@callback("ring")
class RingCallback(VoiceCallback):
    """It rings at the other end."""


@callback("hangup")
class HangupCallback(VoiceCallback):
    """The call is over. Durations in seconds; times and costs as they were written."""

    hangup_cause: str = ""
    hangup_cause_name: str = ""
    hangup_cause_code: Number | None = None
    hangup_source: str = ""
    duration: Number | None = None
    bill_duration: Number | None = None
    total_cost: str = ""
    start_time: str = ""
    answer_time: str = ""
    end_time: str = ""
    carrier_failover_triggered: bool | None = None


@callback("machine_detection")
class MachineDetectionCallback(VoiceCallback):
    """A human or a machine answered."""

    machine: bool | None = None
    if_machine: str = ""


@callback("recording")
class RecordingCallback(VoiceCallback):
    """A recording began or is ready: of ``<Record>``, of the API, or of an agent's call."""

    record_url: str = field(default="", metadata={"also": ("recording_url",)})
    recording_id: str = ""
    recording_duration: Number | None = None
    recording_duration_ms: Number | None = None
    recording_start_ms: Number | None = None
    recording_end_ms: Number | None = None


@callback("dial")
class DialCallback(VoiceCallback):
    """``<Dial>`` is over, or tells of its legs. Its further Dial* parameters are in ``extra``."""

    dial_status: str = ""
    dial_ring_status: str = ""
    dial_hangup_cause: str = ""
    dial_a_leg_uuid: str = ""
    dial_b_leg_uuid: str = ""


@callback("digits")
class DigitsCallback(VoiceCallback):
    """The caller pressed what ``<GetDigits>`` waited for. The platform wants answer XML."""

    digits: str = field(default="", metadata=HIDDEN)


@callback("stream_status")
class StreamStatus(Callback):
    """An audio stream began, ended, failed or lags.

    ``event`` is StartStream, StopStream, DroppedStream or DegradedStream according to one page,
    started, stopped or failed according to another. ``duration`` in seconds.
    """

    event: str = ""
    call_uuid: str = ""
    stream_id: str = ""
    timestamp: str = ""
    from_: str = field(default="", metadata=PHONE)
    to: str = field(default="", metadata=PHONE)
    direction: str = ""
    status_reason: str = ""
    duration: Number | None = None


# --- messages -------------------------------------------------------------------------------------


@callback("message_status")
class MessageStatus(Callback):
    """A message of ours changed: ``status`` queued, sent, failed, delivered, undelivered, read."""

    message_uuid: str = ""
    parent_message_uuid: str = ""
    part_info: str = ""
    sequence: Number | None = None
    from_: str = field(default="", metadata=PHONE)
    to: str = field(default="", metadata=PHONE)
    type: str = ""
    status: str = ""
    units: Number | None = None
    total_rate: str = ""
    total_amount: str = ""
    mcc: str = ""
    mnc: str = ""
    error_code: str = ""
    message_time: str = ""
    queued_time: str = ""
    sent_time: str = ""
    delivery_report_time: str = ""
    requester_ip: str = field(default="", metadata=HIDDEN)
    powerpack_uuid: str = ""
    conversation_id: str = ""
    conversation_origin: str = ""
    conversation_expiration_timestamp: str = ""


def _in_order(found: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(found[name] for name in sorted(found, key=lambda name: int(name[5:])))


def _hide_addresses(value: object) -> object:
    return redact_setting("urls", value)


@callback("incoming_message")
class IncomingMessage(Callback):
    """A message came. ``text`` or ``body`` holds what it says, ``media`` the URLs of Media1....

    ``content_type`` is text, media, button or unknown; ``media_count`` what the platform counted.
    """

    message_uuid: str = ""
    from_: str = field(default="", metadata=PHONE)
    to: str = field(default="", metadata=PHONE)
    text: str = field(default="", metadata=SIZED)
    body: str = field(default="", metadata=SIZED)
    type: str = ""
    units: Number | None = None
    total_rate: str = ""
    total_amount: str = ""
    message_intent: str = ""
    powerpack_uuid: str = ""
    media_count: Number | None = None
    media: Sequence[str] = field(
        default=(), metadata=many(r"Media[0-9]{1,4}", _in_order, _hide_addresses)
    )
    mime_type: str = ""
    content_type: str = ""
    error_code: str = ""
    conversation_id: str = ""
    conversation_origin: str = ""
    conversation_expiration_timestamp: str = ""
