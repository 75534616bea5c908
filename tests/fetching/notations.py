"""One IPv4 address in every notation that some program somewhere reads."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Final

_DIGITS: Final = "0123456789"
_CIRCLED: Final = str.maketrans(_DIGITS, "⓪①②③④⑤⑥⑦⑧⑨")
_WIDE: Final = str.maketrans(_DIGITS, "".join(chr(0xFF10 + n) for n in range(10)))
_ARABIC: Final = str.maketrans(_DIGITS, "".join(chr(0x0660 + n) for n in range(10)))

Write = Callable[[IPv4Address], str]


def _four(pattern: str) -> Write:
    return lambda a: ".".join(pattern.format(octet) for octet in a.packed)


def _tail(count: int, pattern: str) -> Write:
    """Keep the first octets and join the last *count* to one number."""

    def write(a: IPv4Address) -> str:
        head, tail = a.packed[: 4 - count], a.packed[4 - count :]
        return ".".join([*(pattern.format(o) for o in head), pattern.format(int.from_bytes(tail))])

    return write


def _within(prefix: str, suffix: str = "") -> Write:
    return lambda a: f"[{prefix}{int(a) >> 16:x}:{int(a) & 0xFFFF:x}{suffix}]"


NOTATIONS: Final[dict[str, Write]] = {
    "plain": str,
    "one number": _tail(4, "{}"),
    "one hex number": _tail(4, "0x{:x}"),
    "one long hex number": lambda a: f"0x00000000{int(a):x}",
    "one capital hex number": lambda a: f"0X{int(a):X}",
    "one octal number": _tail(4, "0{:o}"),
    "two numbers": _tail(3, "{}"),
    "two hex numbers": _tail(3, "0x{:x}"),
    "three numbers": _tail(2, "{}"),
    "three octal numbers": _tail(2, "0{:o}"),
    "octal": _four("0{:o}"),
    "long octal": _four("0000{:o}"),
    "hex": _four("0x{:x}"),
    "padded": _four("{:03}"),
    "mixed": lambda a: "0x{:x}.0{:o}.{}.{}".format(*a.packed),
    "beyond 32 bits": lambda a: str(int(a) + 2**32),
    "octets beyond 255": lambda a: "{}.{}.{}.{}".format(*(octet + 256 for octet in a.packed)),
    "five numbers": lambda a: f"{a}.0",
    "final dot": lambda a: f"{a}.",
    "two final dots": lambda a: f"{a}..",
    "empty label": lambda a: str(a).replace(".", "..", 1),
    "circled digits": lambda a: str(a).translate(_CIRCLED),
    "wide digits": lambda a: str(a).translate(_WIDE),
    "arabic digits": lambda a: str(a).translate(_ARABIC),
    "wide dots": lambda a: str(a).replace(".", chr(0xFF0E)),
    "ideographic dots": lambda a: str(a).replace(".", "。"),
    "soft hyphen": lambda a: f"\u00ad{a}",
    "percent": lambda a: "".join(f"%{ord(c):x}" for c in str(a)),
    "percent dots": lambda a: str(a).replace(".", "%2e"),
    "bracketed": lambda a: f"[{a}]",
    "mapped": _within("::ffff:"),
    "mapped, dotted": lambda a: f"[::ffff:{a}]",
    "mapped, long": lambda a: f"[0:0:0:0:0:ffff:{a}]",
    "compatible": _within("::"),
    "translated": _within("::ffff:0:"),
    "nat64": _within("64:ff9b::"),
    "local nat64": _within("64:ff9b:1::"),
    "6to4": _within("2002:", "::1"),
    "teredo server": _within("2001:0:", "::1"),
    "teredo client": lambda a: _within("2001:0:1:2:3:4:")(IPv4Address(int(a) ^ 0xFFFF_FFFF)),
    "isatap": _within("2001:470::5efe:"),
    "global isatap": _within("2001:470::200:5efe:"),
}


def every_notation(*addresses: str) -> Iterator[tuple[str, str]]:
    """Write each of *addresses* in every way; gives a name of the case and the host."""
    for address in addresses:
        for name, write in NOTATIONS.items():
            yield f"{address} {name}", write(IPv4Address(address))
