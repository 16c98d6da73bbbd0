"""``agent.calls``: place calls, attach agents, bring in more people (PROTOCOL.md 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plivo_core.errors import ConfigError
from plivo_core.rest._api import Api
from plivo_core.rest._operation import Operation
from plivo_core.rest._request import passed_on, require_filled, segment, without_none
from plivo_core.rest._responses import CallConnected, CallDialed, CallInitiated

__all__ = ["AgentCallsResource"]


class AgentCallsResource:
    """Calls that an agent leads. To hang one up, see ``calls``."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def initiate(
        self,
        agent_uuid: str,
        *,
        from_: str,
        to: str | Sequence[str],
        voicemail_detect: bool = False,
        dial_mode: str | None = None,
        caller_name: str | None = None,
        time_limit: int | None = None,
        ring_timeout: int | None = None,
        machine_detection: str | None = None,
        send_digits: str | None = None,
        **other: object,
    ) -> Operation[CallInitiated]:
        """Call one number or several (``dial_mode``: parallel or sequential); limits in seconds.

        ``voicemail_detect`` is the older way; newer agents have the field ``detection_method``.
        """
        numbers = [to] if isinstance(to, str) else list(to)
        if not numbers or not all(numbers):
            raise ConfigError("to is empty", hint="give at least one number or SIP address")
        body: dict[str, object] = {
            "agent_id": require_filled(agent_uuid, "agent_uuid"),
            "from": require_filled(from_, "from_"),
            "to": numbers,
        }
        if voicemail_detect:
            body["voicemail_detect"] = True
        body.update(
            without_none(
                dial_mode=dial_mode,
                caller_name=caller_name,
                time_limit=time_limit,
                ring_timeout=ring_timeout,
                machine_detection=machine_detection,
                send_digits=send_digits,
            )
        )
        return self._api.operation(
            "POST",
            "/AgentCall",
            CallInitiated.read,
            body={**body, **passed_on(other)},
            look_up="look for the call with agent.sessions.list(phone_number=...)",
        )

    def connect(self, call_uuid: str, *, agent_uuid: str) -> Operation[CallConnected]:
        """Attach an agent to a call that is up."""
        return self._api.operation(
            "POST",
            f"/AgentCall/{segment(call_uuid, 'call_uuid')}/connect",
            CallConnected.read,
            body={"agent_id": require_filled(agent_uuid, "agent_uuid")},
            look_up="look for the session with agent.sessions.list(call_uuid=...)",
        )

    def dial(
        self,
        call_uuid: str,
        *,
        targets: Sequence[Mapping[str, object]],
        agent_id: str | None = None,
        dial_mode: str | None = None,
        caller_id: str | None = None,
        timeout: int | None = None,
        time_limit: int | None = None,
        hangup_on_star: bool | None = None,
        dial_music: str | None = None,
        confirm_sound: str | None = None,
        confirm_key: str | None = None,
        sip_headers: str | None = None,
        **other: object,
    ) -> Operation[CallDialed]:
        """Call ``targets``, each ``{"number", "send_digits"?}``, into the call.

        ``timeout`` is the ringing time in seconds; it is a field of the body, not of the request.
        """
        if isinstance(targets, (str, Mapping)):
            raise ConfigError("targets must be a list", hint='[{"number": "+1..."}]')
        body = without_none(
            agent_id=agent_id,
            dial_mode=dial_mode,
            caller_id=caller_id,
            timeout=timeout,
            time_limit=time_limit,
            hangup_on_star=hangup_on_star,
            dial_music=dial_music,
            confirm_sound=confirm_sound,
            confirm_key=confirm_key,
            sip_headers=sip_headers,
        )
        return self._api.operation(
            "POST",
            f"/AgentCall/{segment(call_uuid, 'call_uuid')}/dial",
            CallDialed.read,
            body={"targets": list(targets), **body, **passed_on(other)},
            look_up="see who joined with agent.sessions.list(call_uuid=...)",
        )
