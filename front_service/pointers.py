"""Say where in a request a mistake is, without saying what stands there."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

Mistake = dict[str, str]

_LONGEST: Final = 200


def pointer(steps: Iterable[object]) -> str:
    """Write *steps* as a JSON pointer (RFC 6901); names of strangers are escaped and cut."""
    text = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    printable = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return printable if len(printable) <= _LONGEST else printable[:_LONGEST] + "…"


def mistake(steps: Iterable[object], detail: str) -> Mistake:
    return {"pointer": pointer(steps), "detail": detail}


def steps_to(wanted: str, value: object) -> tuple[object, ...]:
    """Find the text *wanted* anywhere in *value*; the root if it stands nowhere."""
    waiting: list[tuple[tuple[object, ...], object]] = [((), value)]
    while waiting:
        steps, here = waiting.pop()
        if here == wanted:
            return steps
        waiting.extend(((*steps, step), below) for step, below in _below(here))
    return ()


def real_steps(loc: Sequence[object], value: object) -> tuple[object, ...]:
    """Keep of a pydantic location what is a way into *value*, not a name inside a model.

    The last step is kept even if nothing stands there: it is what is missing.
    """
    steps: list[object] = []
    for place, step in enumerate(loc):
        known = dict(_below(value))
        if step in known:
            steps.append(step)
            value = known[step]
        elif place == len(loc) - 1 and isinstance(value, dict) and isinstance(step, str):
            steps.append(step)
    return tuple(steps)


def _below(value: object) -> Iterable[tuple[Any, object]]:
    match value:
        case dict():
            return value.items()
        case list():
            return enumerate(value)
        case _:
            return ()
