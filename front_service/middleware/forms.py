"""Refuse requests whose form is legal HTTP but means somebody else, or two things at once."""

from urllib.parse import urlsplit

from aiohttp import HttpVersion11, hdrs, web

from front_service.refusals import BadExpectation, Misdirected, WrongMethod
from shared.contract.errors import Malformed


def check_form(request: web.Request) -> None:
    """Raise ``Misdirected``, ``WrongMethod``, ``BadExpectation`` or ``Malformed``."""
    expected = request.headers.get(hdrs.EXPECT)
    if expected is not None and expected.lower() != "100-continue":
        raise BadExpectation
    if request.version != HttpVersion11 and hdrs.TRANSFER_ENCODING in request.headers:
        raise Malformed("HTTP/1.0 has no Transfer-Encoding.")
    target = request.raw_path
    if target.startswith("/"):
        return
    if request.method == hdrs.METH_CONNECT:
        raise WrongMethod(())  # we are no proxy
    host = urlsplit(target).netloc
    if host and host.lower() != request.headers.get(hdrs.HOST, "").lower():
        raise Misdirected
