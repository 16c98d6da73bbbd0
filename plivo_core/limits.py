"""Every bound on what a peer can grow and on how long it can keep us waiting.

Two immutable values, passed to a connection when it is made. The defaults are those of the
project's SECURITY notes; each says its unit and its reason. The core enforces them all except the
group marked *server*, which an adapter that serves many calls enforces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from plivo_core.errors import ConfigError

__all__ = ["DEFAULT_LIMITS", "DEFAULT_TIMINGS", "AudioOverflow", "Limits", "Timings"]

KIB = 1024
MIB = 1024 * 1024


AudioOverflow: TypeAlias = Literal["drop_oldest", "drop_newest", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes and counts. Bytes unless the name or the comment says otherwise."""

    max_head: int = 16 * KIB
    """HTTP request or response head; over it: 431. h11's own number, enforced for heads that
    arrive in one piece too."""
    max_headers: int = 100
    """Header lines in a head; over it: 431. gunicorn's number."""
    max_body: int = MIB
    """HTTP request body; over it: 413. Callbacks are a few KiB."""

    max_message: int = MIB
    """A WebSocket message after reassembly, in bytes; over it: Close 1009. The largest expected
    one is ``session.ended`` with an hour's transcript, 100-200 KiB."""
    max_fragments: int = 4096
    """Frames per message; over it: Close 1009. Empty fragments cost CPU and reach no byte limit."""
    max_json_depth: int = 64
    """Nesting of a JSON message. Known events are at most 4 deep; Python code that walks a parsed
    object fails from about 500."""
    max_invalid_messages: int = 20
    """Messages that are not JSON objects within :attr:`Timings.invalid_window`; one more: Close
    1008. Fewer never end a live call."""
    max_tool_calls: int = 1000
    """Tool calls tracked at once; one more expires the oldest. And ended ones remembered, so that a
    ``tool.called`` told again is not run again: no redelivery comes a thousand calls late."""
    max_tool_call_id: int = 256
    """Characters of a tool call id that is tracked; a longer one is answered but not tracked, so
    that a thousand ids cannot hold a gigabyte."""

    control_buffer: int = MIB
    """Unsent control messages (everything but audio), in bytes of text; over it:
    :class:`~plivo_core.errors.SendQueueFull`, and the call ends, for the peer does not read."""
    audio_buffer: int = 256 * KIB
    """Unsent audio messages, in bytes of text; over it :attr:`audio_overflow` decides. Plivo
    buffers playback itself, so a full queue means a peer that does not read."""
    audio_buffer_ms: int = 5000
    """Unsent audio in milliseconds of playing time; over it :attr:`audio_overflow` decides. One
    message alone may last longer."""
    audio_overflow: AudioOverflow = "drop_oldest"
    """What happens to audio over the two budgets above: "drop_oldest" keeps what is being said,
    "drop_newest" what was said first, "error" raises
    :class:`~plivo_core.errors.AudioQueueFull`. Who would rather wait uses ``send_audio`` of the
    adapter, or :meth:`plivo_core.Session.audio_delay`."""
    max_checkpoints: int = 1024
    """Checkpoints awaiting their fate; one more raises. Settled fates remembered as well."""
    transport_buffer: int = 16 * KIB
    """What one ``data_to_send()`` hands out before it comes back for the rest (at least one whole
    message). What the transport holds, no ``clearAudio`` can overtake."""

    max_webhook_body: int = 64 * KIB
    """Body of a webhook, and JSON in it; over it: 413. Callbacks are a few KiB, and all of a body
    must be decoded before anybody knows who sent it: this much costs a few milliseconds."""
    max_json_items: int = 2000
    """Commas and opening brackets in the JSON body of a webhook; over it: 413, undecoded. Tiny
    values cost most per byte."""
    max_fields: int = 1000
    """Parameters in a webhook's query, form, or top level of its JSON; over it: 413. Callbacks
    have some forty."""
    max_signature_header: int = 4 * KIB
    """Characters in a header with signatures; over it: 403. One signature has 44."""
    max_signatures: int = 16
    """Signatures in one header, each compared with that of every token; over it: 403. Two is what
    the rotation of a token needs."""

    read_size: int = 16 * KIB
    """*Server.* Bytes per read: how long one connection keeps the loop."""
    control_events: int = 1000
    """*Server.* Events waiting for handlers in the control lane; over it the call ends (1008)."""
    control_events_bytes: int = MIB
    """*Server.* Text of those events, in bytes; over it the call ends (1008)."""
    media_lane_ms: int = 2000
    """*Server.* Caller audio waiting for the media handler, and for each loop over
    ``session.audio()``; over it the oldest is dropped and counted: late audio is worth less than
    none."""
    playback_ahead_ms: int = 30_000
    """*Server.* How far ``send_audio`` runs ahead of the caller's ear, in milliseconds: Plivo
    queues 40 s, or a minute (its documents differ), and throws away what is over it."""
    max_abandoned_handlers: int = 8
    """*Server.* Sync handlers of one call that outlived :attr:`Timings.handler` and were left to
    their threads, which nobody can stop; over it the call ends (1011)."""
    max_connections: int = 2000
    """*Server.* Open connections; one more gets 503. An application with costly pipelines per call
    should lower it."""
    max_half_open: int = 256
    """*Server.* Connections whose request head is incomplete; one more gets 503."""
    backlog: int = 512
    """*Server.* Connections the kernel keeps for ``accept``."""

    def __post_init__(self) -> None:
        if self.audio_overflow not in get_args(AudioOverflow):
            raise ConfigError(
                f"audio_overflow must be one of {', '.join(get_args(AudioOverflow))},"
                f" not {self.audio_overflow!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Waits, all in seconds, all measured on the clock whose readings are passed as ``now``."""

    handshake: float = 10.0
    """From accept to the complete request head, TLS included; total, not per read."""
    body: float = 10.0
    """From the head to the complete HTTP body."""
    message: float = 30.0
    """From the first to the last byte of a message; over it: Close 1008 (slow-loris: the heartbeat
    does not see it while pings are answered between fragments)."""
    ping_interval: float = 20.0
    """Silence after which a ping is sent. Any frame is life, so no pings while audio flows."""
    ping_timeout: float = 20.0
    """Silence after that ping that ends the call: Close 1011."""
    write: float = 10.0
    """For how long unsent output may not shrink before the transport is given up."""
    close: float = 5.0
    """From our Close frame to the peer's; then the transport is closed."""
    linger: float = 1.0
    """How long a driver goes on reading (and discarding) after it half-closed a transport whose
    peer has not closed yet."""
    error_linger: float = 0.3
    """The same after a protocol error: closing with unread bytes would make the kernel send RST,
    which can eat our Close frame."""
    tool_call: float = 30.0
    """From ``tool.called`` to ``ToolCallExpired``: the platform's default tool_call_timeout_s."""
    stop_grace: float = 2.0
    """From ``stop`` to the end on a connection that saw ``session.started``, so that
    ``session.ended`` with its transcript is not lost."""
    invalid_window: float = 10.0
    """Sliding window of :attr:`Limits.max_invalid_messages`."""

    handler: float = 30.0
    """*Server.* After this a control or media handler is cancelled and reported."""
    end_grace: float = 5.0
    """*Server.* How long running handlers and tool tasks may finish once a call has ended."""


# One of each for all connections that were given none: a thousand calls need not hold a thousand.
DEFAULT_LIMITS = Limits()
DEFAULT_TIMINGS = Timings()
