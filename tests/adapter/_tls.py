"""A certificate for localhost, made once, and contexts for both ends."""

from __future__ import annotations

import functools
import ssl

import trustme

__all__ = ["client_context", "server_context"]


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@functools.cache
def client_context(*, for_threads: bool = False) -> ssl.SSLContext:
    """Trusts the server. ``for_threads``: for a client that reads in one and writes in another.

    CPython 3.13.0 does not lock its SSL objects: when a thread writes while another reads TLS 1.3's
    session tickets, what is written is lost. TLS 1.2 has no such tickets.
    """
    context = ssl.create_default_context()
    if for_threads:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    _authority().configure_trust(context)
    return context
