"""The answers of each resource, field by field (PROTOCOL.md 3.2-3.8).

Identifiers and required texts are ``""`` when the answer lacks them, everything else ``None``; only
``raw`` can tell a null from an absent member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from plivo_core.rest._base import (
    ADDRESS,
    HIDDEN,
    PHONE,
    Answer,
    Number,
    answer,
    nested,
    nested_list,
)

__all__ = [
    "Agent",
    "AgentNumber",
    "AgentNumbers",
    "AgentSession",
    "AudioStream",
    "AvailableNumber",
    "BoughtNumber",
    "CallConnected",
    "CallDialed",
    "CallInitiated",
    "LookupCarrier",
    "LookupCountry",
    "LookupFormat",
    "Media",
    "Message",
    "MessageCreated",
    "NumberBought",
    "NumberInfo",
    "NumberUpdated",
    "RentedNumber",
    "StreamStarted",
]

# --- agent ----------------------------------------------------------------------------------------


@answer
class Agent(Answer):
    """An agent as stored; ``api_id`` and ``message`` only where it answers a create or update."""

    agent_uuid: str = ""
    agent_name: str = ""
    websocket_url: str | None = None
    created_at: str | None = None
    byok: bool | None = None
    stt: Mapping[str, object] | None = None
    llm: Mapping[str, object] | None = None
    tts: Mapping[str, object] | None = None
    s2s: Mapping[str, object] | None = None
    welcome_greeting: str | None = None
    speaks_first: str | None = None
    participant_mode: str | None = None
    detection_method: str | None = None
    plivo_number: str | None = field(default=None, metadata=PHONE)
    api_id: str | None = None
    message: str | None = None


@answer
class CallInitiated(Answer):
    """The platform calls; ``call_uuid`` names the call."""

    call_uuid: str = ""
    agent_id: str | None = None
    status: str | None = None
    from_: str | None = field(default=None, metadata={"name": "from", **PHONE})
    to: Sequence[str] = field(default=(), metadata=PHONE)
    participant_mode: str | None = None
    mpc_name: str | None = None
    api_id: str | None = None
    message: str | None = None


@answer
class CallConnected(Answer):
    """The agent is being attached to the call."""

    agent_session_id: str = ""
    status: str | None = None
    api_id: str | None = None
    message: str | None = None


@answer
class CallDialed(Answer):
    """The targets are being called into the call."""

    call_uuid: str = ""
    status: str | None = None
    api_id: str | None = None
    message: str | None = None


@answer
class AgentNumber(Answer):
    """A number that was assigned to an agent."""

    agent_uuid: str = ""
    number: str = field(default="", metadata=PHONE)
    api_id: str | None = None
    message: str | None = None


@answer
class AgentNumbers(Answer):
    """The numbers of an agent; this list has no pages."""

    agent_uuid: str = ""
    numbers: Sequence[str] = field(default=(), metadata=PHONE)
    api_id: str | None = None


@answer
class AgentSession(Answer):
    """A conversation of an agent, running or over. The older form names ``agent_session_id``."""

    agent_session_uuid: str = ""
    agent_session_id: str = ""
    agent_uuid: str | None = None
    agent_name: str | None = None
    plivo_auth_id: str | None = None
    primary_call_uuid: str | None = None
    agent_mode: str | None = None
    participant_mode: str | None = None
    state: str | None = None
    created_at: str | None = None
    ended_at: str | None = None
    duration_seconds: Number | None = None
    turn_count: Number | None = None
    has_stt: bool | None = None
    has_llm: bool | None = None
    has_tts: bool | None = None
    has_s2s: bool | None = None
    total_cost: str | None = None
    from_number: str | None = field(default=None, metadata=PHONE)
    to_number: str | None = field(default=None, metadata=PHONE)
    call_legs: Sequence[object] | None = None
    record_url: str | None = None
    api_id: str | None = None


# --- calls ----------------------------------------------------------------------------------------


@answer
class StreamStarted(Answer):
    """An audio stream was started on a call."""

    stream_id: str = ""
    api_id: str | None = None
    message: str | None = None


@answer
class AudioStream(Answer):
    """An audio stream of a call."""

    stream_id: str = ""
    call_uuid: str | None = None
    plivo_auth_id: str | None = None
    service_url: str | None = None
    status: str | None = None
    bidirectional: bool | None = None
    audio_track: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    bill_duration: Number | None = None
    billed_amount: str | None = None
    status_callback_url: str | None = None
    resource_uri: str | None = None
    api_id: str | None = None


# --- messages -------------------------------------------------------------------------------------


@answer
class MessageCreated(Answer):
    """Queued: one uuid for each destination; ``invalid_number`` were left out."""

    message_uuid: Sequence[str] = ()
    invalid_number: Sequence[str] = field(default=(), metadata=PHONE)
    api_id: str | None = None
    message: str | None = None


@answer
class Message(Answer):
    """A message sent or received. Amounts and codes are text, as the service writes most."""

    message_uuid: str = ""
    from_number: str | None = field(default=None, metadata=PHONE)
    to_number: str | None = field(default=None, metadata=PHONE)
    message_direction: str | None = None
    message_state: str | None = None
    message_type: str | None = None
    message_time: str | None = None
    message_sent_time: str | None = None
    message_updated_time: str | None = None
    units: Number | None = None
    total_rate: str | None = None
    total_amount: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    resource_uri: str | None = None
    powerpack_id: str | None = None
    requester_ip: str | None = field(default=None, metadata=HIDDEN)
    is_domestic: bool | None = None
    replaced_sender: str | None = None
    tendlc_campaign_id: str | None = None
    tendlc_registration_status: str | None = None
    destination_country_iso2: str | None = None
    conversation_id: str | None = None
    conversation_origin: str | None = None
    conversation_expiration_timestamp: str | None = None
    dlt_entity_id: str | None = None
    dlt_template_id: str | None = None
    dlt_template_category: str | None = None
    destination_network: str | None = None
    carrier_fees: str | None = None
    carrier_fees_rate: str | None = None
    log: object = None
    api_id: str | None = None


@answer
class Media(Answer):
    """A picture, sound or film of a message."""

    media_id: str = ""
    media_url: str | None = None
    content_type: str | None = None
    file_name: str | None = None
    size: Number | None = None
    upload_time: str | None = None
    message_uuid: str | None = None


# --- numbers --------------------------------------------------------------------------------------


@answer
class RentedNumber(Answer):
    """A number of the account."""

    number: str = field(default="", metadata=PHONE)
    alias: str | None = None
    application: str | None = None
    carrier: str | None = None
    city: str | None = None
    country: str | None = None
    region: str | None = None
    number_type: str | None = None
    monthly_rental_rate: str | None = None
    sms_enabled: bool | None = None
    sms_rate: str | None = None
    voice_enabled: bool | None = None
    voice_rate: str | None = None
    sub_account: str | None = None
    added_on: str | None = None
    renewal_date: str | None = None
    resource_uri: str | None = field(default=None, metadata=ADDRESS)
    api_id: str | None = None


@answer
class AvailableNumber(Answer):
    """A number that can be bought."""

    number: str = field(default="", metadata=PHONE)
    prefix: str | None = None
    city: str | None = None
    country: str | None = None
    region: str | None = None
    lata: str | None = None
    rate_center: str | None = None
    type: str | None = None
    monthly_rental_rate: str | None = None
    setup_rate: str | None = None
    sms_enabled: bool | None = None
    sms_rate: str | None = None
    voice_enabled: bool | None = None
    voice_rate: str | None = None
    restriction: str | None = None
    restriction_text: str | None = None
    resource_uri: str | None = field(default=None, metadata=ADDRESS)


@answer
class BoughtNumber(Answer):
    """What became of one number of a purchase."""

    number: str = field(default="", metadata=PHONE)
    status: str | None = None
    fallback_number: str | None = field(default=None, metadata=PHONE)


@answer
class NumberBought(Answer):
    """A purchase: ``status`` is ``fulfilled`` or, while papers are checked, ``pending``."""

    status: str | None = None
    numbers: Sequence[BoughtNumber] = field(default=(), metadata=nested_list(BoughtNumber))
    api_id: str | None = None
    message: str | None = None


@answer
class NumberUpdated(Answer):
    """The change was taken."""

    api_id: str | None = None
    message: str | None = None


@answer
class LookupCountry(Answer):
    """The country of a number."""

    name: str | None = None
    iso2: str | None = None
    iso3: str | None = None


@answer
class LookupFormat(Answer):
    """One number, four ways to write it."""

    e164: str | None = field(default=None, metadata=PHONE)
    national: str | None = field(default=None, metadata=PHONE)
    international: str | None = field(default=None, metadata=PHONE)
    rfc3966: str | None = field(default=None, metadata=PHONE)


@answer
class LookupCarrier(Answer):
    """Who serves a number: ``type`` fixed, mobile, voip, toll-free or unknown; ``ported`` text."""

    name: str | None = None
    type: str | None = None
    ported: str | None = None
    mobile_country_code: str | None = None
    mobile_network_code: str | None = None


@answer
class NumberInfo(Answer):
    """What the lookup service knows of a number."""

    phone_number: str = field(default="", metadata=PHONE)
    country: LookupCountry = field(default_factory=LookupCountry, metadata=nested(LookupCountry))
    format: LookupFormat = field(default_factory=LookupFormat, metadata=nested(LookupFormat))
    carrier: LookupCarrier = field(default_factory=LookupCarrier, metadata=nested(LookupCarrier))
    resource_uri: str | None = field(default=None, metadata=ADDRESS)
    api_id: str | None = None
