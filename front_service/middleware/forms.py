"""Refuse requests whose form is legal HTTP but means somebody else, or two things at once."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from front_service.refusals import BadExpectation, Misdirected, Misframed, WrongMethod

_VERSIONS: Final = frozenset((HttpVersion10, HttpVersion11))


def check_form(request: web.Request) -> None:
    """Raise ``Misframed``, ``Misdirected``, ``WrongMethod`` or ``BadExpectation``."""
    if request.version not in _VERSIONS:
        raise Misframed("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    coding = request.headers.get(hdrs.TRANSFER_ENCODING)
    if coding is not None:
        _check_coding(request, coding)
    expected = request.headers.get(hdrs.EXPECT)
    if expected is not None and expected.lower() != "100-continue":
        raise BadExpectation
    target = request.raw_path
    if target.startswith("/"):
        return
    if request.method == hdrs.METH_CONNECT:
        raise WrongMethod(())  # we are no proxy
    host = urlsplit(target).netloc
    if host and host.lower() != request.headers.get(hdrs.HOST, "").lower():
        raise Misdirected


def _check_coding(request: web.Request, coding: str) -> None:
    if request.version != HttpVersion11:
        raise Misframed("HTTP/1.0 has no Transfer-Encoding.")
    if coding.strip().lower() != "chunked":
        raise Misframed("The only Transfer-Encoding taken here is chunked.")
