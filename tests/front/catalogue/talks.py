"""Frames that no WebSocket peer should send, and upgrades that are none (RFC 6455)."""

import struct
from typing import Final

from tests.front.catalogue.case import CLOSED, UNKNOWN, Case, Talk, get
from tests.front.peer import masked

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_BROKEN: Final = 1002
_KEY: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_UPGRADE: Final = ("Connection: Upgrade", "Upgrade: websocket")


def _bare(opcode: int, payload: bytes, flags: int = 0x80) -> bytes:
    """Write a frame without a mask."""
    return bytes((flags | opcode, len(payload))) + payload


def _sized(first: int, form: str, size: int) -> bytes:
    """Write the head of a frame that announces *size*."""
    code = {">H": 126, ">Q": 127}[form]
    return bytes((first, 0x80 | code)) + struct.pack(form, size) + b"\0\0\0\0"


def _closed(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, code.to_bytes(2) + reason)


def _upgrade(name: str, status: int, *headers: str, path: str = "/jobs/{waiting}") -> Case:
    return Case(name=f"upgrade: {name}", sent=get(path, *headers), answers=(status,), closed=CLOSED)


UPGRADES: Final = (
    _upgrade("no key", 400, *_UPGRADE, "Sec-WebSocket-Version: 13"),
    _upgrade("a short key", 400, *_UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"),
    _upgrade("no version", 400, *_UPGRADE, _KEY),
    _upgrade("version 12", 400, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 12"),
    _upgrade("version of text", 400, *_UPGRADE, _KEY, "Sec-WebSocket-Version: x"),
    _upgrade(
        "a protocol", 400, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: x"
    ),
    _upgrade(
        "a foreign page",
        403,
        *_UPGRADE,
        _KEY,
        "Sec-WebSocket-Version: 13",
        "Origin: https://evil.example",
    ),
    _upgrade("a page of nobody", 403, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 13", "Origin: null"),
    _upgrade(
        "nobody's job", 404, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 13", path=f"/jobs/{UNKNOWN}"
    ),
    _upgrade("a job of no form", 404, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 13", path="/jobs/x"),
    _upgrade("a job gone", 410, *_UPGRADE, _KEY, "Sec-WebSocket-Version: 13", path="/jobs/{gone}"),
    _upgrade(
        "after text",
        400,
        *_UPGRADE,
        _KEY,
        "Sec-WebSocket-Version: 13",
        path="/jobs/{waiting}?after=x",
    ),
    _upgrade(
        "after -1",
        400,
        *_UPGRADE,
        _KEY,
        "Sec-WebSocket-Version: 13",
        path="/jobs/{waiting}?after=-1",
    ),
    _upgrade("something else", 426, "Connection: Upgrade", "Upgrade: nobody"),
)

TALKS: Final = (
    Talk(name="a ping", sent=masked(PING, b"x")),
    Talk(name="a pong nobody asked for", sent=masked(PONG, b"x")),
    Talk(name="a text", sent=masked(TEXT, b"hello")),
    Talk(name="no text", sent=masked(TEXT, b"")),
    Talk(name="a text in two fragments", sent=masked(TEXT, b"a", final=False) + masked(0, b"b")),
    Talk(
        name="a ping within a text",
        sent=masked(TEXT, b"a", final=False) + masked(PONG, b"") + masked(0, b"b"),
    ),
    Talk(name="a text of 64 KiB", sent=masked(TEXT, b"x" * 65_535)),
    Talk(name="bytes", sent=masked(BINARY, b"x"), code=1003),
    Talk(name="no mask", sent=_bare(TEXT, b"x"), code=_BROKEN),
    Talk(name="a ping without a mask", sent=_bare(PING, b""), code=_BROKEN),
    Talk(name="RSV1", sent=bytes((0xC1, 0x80)) + bytes(4), code=_BROKEN),
    Talk(name="RSV2", sent=bytes((0xA1, 0x80)) + bytes(4), code=_BROKEN),
    Talk(name="RSV3", sent=bytes((0x91, 0x80)) + bytes(4), code=_BROKEN),
    *(
        Talk(name=f"opcode {code}", sent=masked(code, b""), code=_BROKEN)
        for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    Talk(name="a fragment of nothing", sent=masked(0, b"x"), code=_BROKEN),
    Talk(
        name="a text within a text",
        sent=masked(TEXT, b"a", final=False) + masked(TEXT, b"b"),
        code=_BROKEN,
    ),
    Talk(name="a ping in fragments", sent=masked(PING, b"x", final=False), code=_BROKEN),
    Talk(name="a ping of 126", sent=masked(PING, b"x" * 126), code=_BROKEN),
    Talk(name="a pong of 64 KiB", sent=masked(PONG, b"x" * 65_536), code=_BROKEN),
    Talk(name="a close of 126", sent=masked(CLOSE, b"x" * 126), code=_BROKEN),
    Talk(name="bad UTF-8", sent=masked(TEXT, b"\xff\xfe"), code=1007),
    Talk(name="UTF-8 cut short", sent=masked(TEXT, b"\xe2\x82"), code=1007),
    Talk(name="a surrogate in UTF-8", sent=masked(TEXT, b"\xed\xa0\x80"), code=1007),
    Talk(
        name="bad UTF-8 over two fragments",
        sent=masked(TEXT, b"\xe2", final=False) + masked(0, b"x"),
        code=1007,
    ),
    Talk(name="over size", sent=masked(TEXT, b"x" * 65_537), code=1009),
    Talk(name="over size, announced", sent=_sized(0x81, ">Q", 10**9), code=1009),
    Talk(name="2^62", sent=_sized(0x81, ">Q", 2**62), code=1009),
    Talk(name="2^64 - 1", sent=_sized(0x81, ">Q", 2**64 - 1), code=1009),
    Talk(
        name="over size in fragments",
        sent=masked(TEXT, b"x" * 40_000, final=False) + masked(0, b"x" * 40_000),
        code=1009,
    ),
    Talk(name="a length in too many bytes", sent=_sized(0x81, ">H", 1) + b"x"),
    Talk(name="close 1000", sent=_closed(1000), code=1000),
    Talk(name="close 4999", sent=_closed(4999, b"bye"), code=1000),
    Talk(name="close without a code", sent=masked(CLOSE, b""), code=1000),
    Talk(name="close of one byte", sent=masked(CLOSE, b"x"), code=_BROKEN),
    Talk(name="close 0", sent=_closed(0), code=_BROKEN),
    Talk(name="close 999", sent=_closed(999), code=_BROKEN),
    Talk(name="close 1005", sent=_closed(1005), code=_BROKEN),
    Talk(name="close 1006", sent=_closed(1006), code=1000),
    Talk(name="close 1015", sent=_closed(1015), code=_BROKEN),
    Talk(name="close 2999", sent=_closed(2999), code=_BROKEN),
    Talk(name="close in bad UTF-8", sent=_closed(1000, b"\xff"), code=1007),
    Talk(name="a flood of pings", sent=masked(PING, b""), rounds=1_000, code=1008),
    Talk(name="a flood of pongs", sent=masked(PONG, b""), rounds=1_000, code=1008),
    Talk(name="a flood of texts", sent=masked(TEXT, b"x"), rounds=1_000, code=1008),
    Talk(
        name="a flood of empty fragments", sent=masked(0, b"", final=False), rounds=5_000, code=1008
    ),
    Talk(
        name="a flood within a text",
        sent=masked(TEXT, b"", final=False) + masked(0, b"", final=False) * 5_000,
        code=1008,
    ),
    Talk(name="HTTP", sent=b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", code=_BROKEN),
)
CASES: Final[tuple[Case | Talk, ...]] = (*UPGRADES, *TALKS)
