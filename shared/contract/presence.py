"""What a worker says of itself every few seconds, so that fronts can tell when a job may be done.

It is a hint and nothing else: it travels as news do, may be lost or forged, and is kept by nobody.
A front that hears none says less, never something wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import orjson

EVERY: Final = 2.0
"""Seconds between two beats of one worker."""

_VERSION: Final = 1
_MARK: Final = b'{"v":1,"beat":'
_LONGEST_NAME: Final = 200
_MOST_NAMES: Final = 1_000
_MOST_SLOTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One worker is alive. *slots* is 0 when it takes no more jobs."""

    worker: str
    slots: int
    pools: tuple[str, ...]
    types: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)  # an attempt usually takes, by type


def encode_beat(beat: Beat) -> bytes:
    said = {
        "worker": beat.worker,
        "slots": beat.slots,
        "pools": beat.pools,
        "types": beat.types,
        "seconds": beat.seconds,
    }
    return orjson.dumps({"v": _VERSION, "beat": said})


def decode_beat(body: bytes) -> Beat | None:
    """Read what a worker published; ``None`` for whatever is no beat, and that is told cheaply."""
    if not body.startswith(_MARK):
        return None
    try:
        return _read(orjson.loads(body)["beat"])
    except (ValueError, TypeError, KeyError):
        return None


def _read(said: Mapping[str, Any]) -> Beat:
    slots, seconds = said["slots"], said["seconds"]
    if type(slots) is not int or not 0 <= slots <= _MOST_SLOTS or len(seconds) > _MOST_NAMES:
        raise ValueError
    return Beat(
        worker=_name(said["worker"]),
        slots=slots,
        pools=_names(said["pools"]),
        types=_names(said["types"]),
        seconds={_name(name): _seconds(value) for name, value in seconds.items()},
    )


def _names(said: list[object]) -> tuple[str, ...]:
    if not isinstance(said, list) or len(said) > _MOST_NAMES:
        raise ValueError
    return tuple(map(_name, said))


def _name(said: object) -> str:
    if not isinstance(said, str) or len(said) > _LONGEST_NAME:
        raise ValueError
    return said


def _seconds(said: object) -> float:
    if not isinstance(said, int | float) or not isfinite(said) or said < 0:
        raise ValueError
    return float(said)
