"""Every way in which httpx can fail is classified, and a new one does not slip in unnoticed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from plivo_core.rest import Cause, Sent
from plivo_httpx_adapter._failures import CLASSIFIED, FAILURES, classify


def subclasses(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__.startswith("httpx"):
            yield from subclasses(child)


@pytest.mark.parametrize("failure", list(subclasses(httpx.TransportError)))
def test_every_transport_error_of_httpx_is_classified_by_name(failure: type[Exception]) -> None:
    assert failure in CLASSIFIED, f"httpx has a new {failure.__name__}: may a POST be repeated?"


def test_nothing_else_of_httpx_can_come_out_of_one_request() -> None:
    # Raised only by what we do not do: raise_for_status() and following redirects.
    unused = {httpx.HTTPError, httpx.RequestError, httpx.HTTPStatusError, httpx.TooManyRedirects}
    for failure in {*subclasses(httpx.HTTPError), httpx.InvalidURL} - unused:
        assert issubclass(failure, FAILURES), failure


ROWS: list[tuple[type[Exception], Cause, Sent]] = [
    (httpx.ConnectError, Cause.CONNECT, Sent.NO),
    (httpx.ConnectTimeout, Cause.TIMEOUT, Sent.NO),
    (httpx.PoolTimeout, Cause.TIMEOUT, Sent.NO),
    (httpx.ReadTimeout, Cause.TIMEOUT, Sent.MAYBE),
    (httpx.WriteTimeout, Cause.TIMEOUT, Sent.MAYBE),
    (httpx.WriteError, Cause.BROKEN, Sent.MAYBE),
    (httpx.RemoteProtocolError, Cause.BROKEN, Sent.MAYBE),
    (httpx.ProxyError, Cause.CONNECT, Sent.NO),
    (httpx.TimeoutException, Cause.TIMEOUT, Sent.MAYBE),
    (httpx.NetworkError, Cause.BROKEN, Sent.MAYBE),
    (httpx.ReadError, Cause.BROKEN, Sent.MAYBE),
    (httpx.CloseError, Cause.BROKEN, Sent.MAYBE),
    (httpx.ProtocolError, Cause.BROKEN, Sent.MAYBE),
    (httpx.DecodingError, Cause.BROKEN, Sent.MAYBE),
    (httpx.LocalProtocolError, Cause.REFUSED, Sent.MAYBE),  # over HTTP/2 the server's fault too
    (httpx.TransportError, Cause.BROKEN, Sent.MAYBE),
    (httpx.UnsupportedProtocol, Cause.REFUSED, Sent.NO),
    (httpx.InvalidURL, Cause.REFUSED, Sent.NO),
]


def test_no_row_is_left_unasserted() -> None:
    assert [row[0] for row in ROWS if row[0] not in CLASSIFIED] == []
    assert CLASSIFIED.keys() == {row[0] for row in ROWS}


@pytest.mark.parametrize(("failure", "cause", "sent"), ROWS)
def test_only_what_never_had_a_connection_counts_as_not_sent(
    failure: type[Exception], cause: Cause, sent: Sent
) -> None:
    assert classify(failure("")) == (cause, sent)


def test_a_transport_of_the_applications_own_counts_as_what_it_derives_from() -> None:
    class TunnelError(httpx.ConnectError):
        pass

    class OddError(httpx.TransportError):
        pass

    assert classify(TunnelError("")) == (Cause.CONNECT, Sent.NO)
    assert classify(OddError("")) == (Cause.BROKEN, Sent.MAYBE)
