"""Commands to wire objects and back: the one place that knows the vendor's spelling of them.

Both directions exist because the simulator and the tests are the other end (PROTOCOL.md 11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias, cast

from plivo_core.codec import DEFAULT_CODEC, Codec, MalformedMessage
from plivo_core.commands._checks import require_mapping
from plivo_core.commands._types import (
    Checkpoint,
    ClearAudio,
    Command,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    PlayBackground,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    Speak,
    StopBackground,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.errors import InvalidCommandError
from plivo_core.events import InvalidMessage

__all__ = ["command_text", "parse_command", "serialize_command"]

# Any, not object: whatever a member holds goes into a constructor, which checks it.
_Members: TypeAlias = Mapping[str, Any]


def serialize_command(command: Command) -> dict[str, object]:
    """The wire object of ``command`` (PROTOCOL.md 11), sharing no dict or list with it.

    A ``stream_id`` of None is written as empty text (D-25). Raises InvalidCommandError for what
    is not a command, and when a value given to one is nested too deeply or holds itself.
    """
    match command:
        case PlayAudio():  # first: 50 a second per call
            return {
                "event": command.type,
                "media": {
                    "contentType": command.content_type,
                    "sampleRate": command.sample_rate,
                    "payload": command.payload,
                },
            }
        case ToolResult():
            result = _copy(command.result, "result")
            return {"type": command.type, "id": command.id, "result": result}
        case ToolError():
            return {"type": command.type, "id": command.id, "error": command.error}
        case Text():
            return {"type": command.type, "token": command.token, "last": command.last}
        case ExtendWait() | Hangup():
            return {"type": command.type}
        case Update():
            fields = cast("dict[str, object]", _copy(command.fields, "fields"))
            return {"type": command.type, **fields}
        case Inject():
            return {"type": command.type, "content": command.content}
        case Speak():
            return {"type": command.type, "text": command.text}
        case Play():
            play: dict[str, object] = {"type": command.type, "audio_data": command.audio_data}
            if not command.allow_interruption:
                play["allow_interruption"] = False
            return play
        case Transfer():
            transfer: dict[str, object] = {
                "type": command.type,
                "destination": list(command.destination),
                "dial_mode": command.dial_mode,
                "timeout": command.timeout,
            }
            if command.caller_id is not None:
                transfer["caller_id"] = command.caller_id
            return transfer
        case SendDtmf():
            return {"type": command.type, "digits": command.digits}
        case PlayBackground():
            return {
                "type": command.type,
                "sound": command.sound,
                "volume": command.volume,
                "loop": command.loop,
            }
        case StopBackground():
            return {"type": command.type, "enabled": False}
        case Checkpoint():
            stream_id = command.stream_id or ""
            return {"event": command.type, "streamId": stream_id, "name": command.name}
        case ClearAudio():
            return {"event": command.type, "streamId": command.stream_id or ""}
        case SendStreamDtmf():
            return {"event": command.type, "dtmf": command.digits}
        case RawCommand():
            return cast("dict[str, object]", _copy(command.message, "message"))
    _not_a_command(command)


def command_text(command: Command, codec: Codec = DEFAULT_CODEC) -> str:
    """The message of ``command``: ``codec.encode(serialize_command(command))``, whatever it is.

    Audio, 50 times a second per call, is put together from its payload and the text around it,
    which hardly ever changes.
    """
    if type(command) is PlayAudio and (encode_text := codec.encode_text) is not None:
        content_type, sample_rate = command.content_type, command.sample_rate
        # Subclasses may call themselves equal to something else, which would fool the cache.
        if type(content_type) is str and type(sample_rate) is int:
            before, behind = _around_payload(content_type, sample_rate)
            return before + encode_text(command.payload) + behind
    return codec.encode(serialize_command(command))


@lru_cache(maxsize=32)  # formats, of which a call has one
def _around_payload(content_type: str, sample_rate: int) -> tuple[str, str]:
    empty = PlayAudio("", content_type=content_type, sample_rate=sample_rate)
    before, _, behind = DEFAULT_CODEC.encode(serialize_command(empty)).rpartition('""')
    return before, behind


def _not_a_command(value: NoReturn) -> NoReturn:
    # NoReturn as a parameter: type checkers refuse a member of the union that is not handled.
    raise InvalidCommandError(
        f"{type(value).__name__} is not a command", argument="command", hint="see Command"
    )


def _copy(value: object, argument: str) -> object:
    try:
        return _copy_containers(value)
    except RecursionError:
        raise InvalidCommandError(
            f"{argument} is nested too deeply, or holds itself", argument=argument
        ) from None


def _copy_containers(value: object) -> object:
    if isinstance(value, list):
        return [_copy_containers(entry) for entry in cast("list[object]", value)]
    if isinstance(value, tuple):
        return tuple(_copy_containers(entry) for entry in cast("tuple[object, ...]", value))
    if isinstance(value, Mapping):  # read-only views become what JSON can carry
        members = cast("Mapping[object, object]", value)
        return {name: _copy_containers(member) for name, member in members.items()}
    return value


def parse_command(
    data: str | bytes | Mapping[str, object], *, codec: Codec = DEFAULT_CODEC
) -> Command | InvalidMessage:
    """The command in ``data``; never raises.

    Text that is not a JSON object gives :class:`~plivo_core.events.InvalidMessage`. A name that is
    not known, and a known one whose members are missing or invalid, gives :class:`RawCommand` with
    the whole object. Further members of known commands are ignored: clients in the field add
    streamId to playAudio. A streamId that is missing counts as the empty one, which means the
    present stream (D-25). Names are found as for events (PROTOCOL.md 8.2).
    """
    if isinstance(data, Mapping):
        message = dict(data)
    else:
        try:
            message = codec.decode(data)
        except MalformedMessage as error:
            return InvalidMessage(raw=data, reason=error.reason)
    name = message.get("type") or message.get("event")
    read = _READERS.get(name) if isinstance(name, str) else None
    if read is not None:
        try:
            return read(message)
        except (KeyError, InvalidCommandError):
            pass
    return RawCommand(message)


def _read_update(message: _Members) -> Update:
    # Only the member that named the message is not a field, and with "event" a falsy "type".
    named_by = "type" if message.get("type") else "event"
    return Update({k: v for k, v in message.items() if k not in ("type", named_by)})


def _read_background_stop(message: _Members) -> Command:
    # Nothing of ours switches mixing on this way; what does so stays raw.
    return StopBackground() if message["enabled"] is False else RawCommand(message)


def _read_audio(message: _Members) -> PlayAudio:
    media = message["media"]
    require_mapping(media, "media")
    return PlayAudio(
        media["payload"], content_type=media["contentType"], sample_rate=media["sampleRate"]
    )


# A reader raises KeyError for a missing member; the constructors judge what is there.
_READERS: dict[str, Callable[[_Members], Command]] = {
    ToolResult.type: lambda m: ToolResult(m["id"], m["result"]),
    ToolError.type: lambda m: ToolError(m["id"], m["error"]),
    Text.type: lambda m: Text(m["token"], last=m["last"]),
    ExtendWait.type: lambda m: ExtendWait(),
    Update.type: _read_update,
    Inject.type: lambda m: Inject(m["content"]),
    Speak.type: lambda m: Speak(m["text"]),
    Play.type: lambda m: Play(
        m["audio_data"], allow_interruption=m.get("allow_interruption", True)
    ),
    Transfer.type: lambda m: Transfer(
        m["destination"],
        dial_mode=m["dial_mode"],
        timeout=m["timeout"],
        caller_id=m.get("caller_id"),
    ),
    SendDtmf.type: lambda m: SendDtmf(m["digits"]),
    Hangup.type: lambda m: Hangup(),
    PlayBackground.type: lambda m: PlayBackground(m["sound"], volume=m["volume"], loop=m["loop"]),
    StopBackground.type: _read_background_stop,
    PlayAudio.type: _read_audio,
    Checkpoint.type: lambda m: Checkpoint(m["name"], stream_id=m.get("streamId")),
    ClearAudio.type: lambda m: ClearAudio(stream_id=m.get("streamId")),
    SendStreamDtmf.type: lambda m: SendStreamDtmf(m["dtmf"]),
}
