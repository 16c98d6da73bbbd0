"""The account: credentials and addresses, and the tree of resources that hangs on it."""

from __future__ import annotations

from urllib.parse import urlsplit

from plivo_core.errors import ConfigError
from plivo_core.rest._agents import AgentResources
from plivo_core.rest._api import Api
from plivo_core.rest._calls import CallsResource
from plivo_core.rest._messages import MessagesResource
from plivo_core.rest._numbers import NumbersResource
from plivo_core.rest._request import segment
from plivo_core.rest._retry import DEFAULT_RETRY, RetryPolicy

__all__ = ["API_URL", "LOOKUP_URL", "Account"]

API_URL = "https://api.plivo.com"
LOOKUP_URL = "https://lookup.plivo.com"


class Account:
    """Builds the operations of one account; sends nothing.

    ``auth_id`` may be the main account's or a subaccount's. ``base_url`` moves the lookup service
    too, unless ``lookup_url`` is given. Raises ConfigError when one of them cannot be used.
    """

    __slots__ = ("agent", "auth_id", "base_url", "calls", "lookup_url", "messages", "numbers")

    def __init__(
        self,
        auth_id: str,
        auth_token: str,
        *,
        base_url: str = API_URL,
        lookup_url: str | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        _require_credential(auth_id, "auth_id", "PLIVO_AUTH_ID")
        _require_credential(auth_token, "auth_token", "PLIVO_AUTH_TOKEN")
        if ":" in auth_id:
            raise ConfigError("auth_id holds a colon, which HTTP Basic cannot carry (RFC 7617, 2)")
        self.auth_id = auth_id
        self.base_url = _clean_url(base_url, "base_url")
        if lookup_url is not None:
            self.lookup_url = _clean_url(lookup_url, "lookup_url")
        else:
            self.lookup_url = LOOKUP_URL if self.base_url == API_URL else self.base_url
        api = Api(
            auth_id=auth_id,
            auth_token=auth_token,
            prefix=f"/v1/Account/{segment(auth_id, 'auth_id')}",
            base_url=self.base_url,
            lookup_url=self.lookup_url,
            retry=retry,
        )
        self.agent = AgentResources(api)
        self.calls = CallsResource(api)
        self.messages = MessagesResource(api)
        self.numbers = NumbersResource(api)

    def __repr__(self) -> str:
        return f"<Account {self.auth_id} at {self.base_url}>"


def _require_credential(value: object, argument: str, variable: str) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigError(
            f"{argument} is missing or empty", hint=f"give {argument}= or set {variable}"
        )
    try:
        value.encode()
    except UnicodeEncodeError:  # its own text would quote the credential
        raise ConfigError(f"{argument} holds a lone surrogate, which UTF-8 cannot carry") from None


def _is_host(host: str | None) -> bool:
    """Whether each label has 1 to 63 characters, as DNS and IDNA want it; a dot may end it."""
    labels = (host or "").removesuffix(".").split(".")
    return all(0 < len(label) <= 63 for label in labels)


def _clean_url(value: object, argument: str) -> str:
    expected = ConfigError(
        f"{argument} must be http:// or https:// with a host, and perhaps a path",
        hint=f"the default is {API_URL if argument == 'base_url' else LOOKUP_URL}",
    )
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise expected
    try:
        parts = urlsplit(value)
        usable = _is_host(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port or an IPv6 address that is none
        raise expected from None
    # User and password in a URL would show in every repr and log.
    odd = " " in value or "?" in value or "#" in value or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not usable or odd:
        raise expected
    return value.rstrip("/")
