"""What a verifier is told once: tokens, the public address, the proxies to believe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import cast

from plivo_core.errors import ConfigError
from plivo_core.limits import Limits

__all__ = ["Origin", "Settings", "is_authority", "make_settings"]

_URL = re.compile(r"(https?)://([!-~]+?)((?:/[!-~]*)?)")
_USER = re.compile(r"[^@/\\]+@")
_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)


def is_authority(text: str) -> bool:
    """Whether ``text`` is a host, a dotted or bracketed address, and perhaps a port."""
    return _AUTHORITY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of the public URL in front of a request's target."""

    scheme: str
    authority: str = field(repr=False)  # may hold a password
    prefix: str
    """Path of the public URL, without a slash at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked arguments of a verifier; no part of it shows a token."""

    tokens: tuple[bytes, ...] = field(repr=False)
    main_tokens: tuple[bytes, ...] = field(repr=False)
    origin: Origin
    allow_v2: bool
    trusted: tuple[IPv4Network | IPv6Network, ...]
    limits: Limits

    def trusts(self, peer: str | None) -> bool:
        """Whether ``peer``, the address at the other end of the socket, is a proxy to believe."""
        if not self.trusted or not isinstance(peer, str):
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.trusted)


def make_settings(
    tokens: str | Sequence[str],
    main_tokens: str | Sequence[str] | None,
    public_url: str,
    *,
    allow_v2: bool,
    trusted_proxies: Sequence[str],
    limits: Limits,
) -> Settings:
    """Raises ConfigError, which quotes neither a token nor the URL's password."""
    own = _tokens(tokens, "tokens")
    main = _tokens(main_tokens, "main_tokens")
    if not own and not main:
        raise ConfigError(
            "there is no token to verify webhooks with",
            hint="give tokens= or set PLIVO_AUTH_TOKEN; a verifier never accepts everything",
        )
    return Settings(
        tokens=own,
        main_tokens=main,
        origin=_origin(public_url),
        allow_v2=allow_v2,
        trusted=_networks(trusted_proxies),
        limits=limits,
    )


def _tokens(given: object, argument: str) -> tuple[bytes, ...]:
    if given is None:
        return ()
    values: list[object] = [given]
    if isinstance(given, (list, tuple)):
        values = list(cast("Sequence[object]", given))
    tokens: list[bytes] = []
    for value in values:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{argument} must be text, or a list of texts, none of them empty")
        try:
            tokens.append(value.encode())
        except UnicodeEncodeError:  # its own text would quote the token
            raise ConfigError(f"{argument} holds a lone surrogate, no UTF-8") from None
    return tuple(tokens)


def _origin(url: object) -> Origin:
    found = _URL.fullmatch(url) if isinstance(url, str) else None
    if found is None or "?" in found[0] or "#" in found[0] or "\\" in found[0]:
        raise ConfigError(
            "public_url must be https://host or https://host/prefix, in ASCII",
            hint="it is what the callbacks' URLs at Plivo begin with; set PLIVO_PUBLIC_URL",
        )
    if not is_authority(_USER.sub("", found[2], count=1)):
        raise ConfigError("public_url has no usable host")
    return Origin(found[1], found[2], found[3].rstrip("/"))


def _networks(given: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    if isinstance(given, str):
        raise ConfigError("trusted_proxies must be a list of addresses or networks")
    networks: list[IPv4Network | IPv6Network] = []
    for text in given:
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise ConfigError(
                f"trusted_proxies holds {text!r}, which is no address or network",
                hint="for example '10.0.0.7' or '10.0.0.0/8'",
            ) from None
    return tuple(networks)
