"""Write the reference of all settings from the classes that read them: ``docs/settings.md``."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.runtime.settings import PREFIX, BackSettings, CommonSettings, FrontSettings

_KINDS: Final[Mapping[Any, str]] = {
    bool: "yes or no",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "folder",
    timedelta: "seconds",
    SecretStr: "secret",
}
_BOUNDS: Final = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"))

_PAGE: Final = """\
# Settings

This page is written by `make docs` from the classes that read the settings
([`shared/runtime/settings.py`](../shared/runtime/settings.py)); a test compares the two. All are
variables of the environment. What the environment does not say may stand in files of the folder
`UKETSUKE_SECRETS_DIR`, named like the variables in small letters. A value that cannot be used
refuses the start and is named; a variable with our prefix that nobody reads is named in the log.
Durations are in seconds; lists have commas. Which sizes to choose: [operations](operations.md).
`uketsuke doctor` looks at what they lead to.

## Both services

{both}

## Front

{front}

## Back

{back}
"""


def settings_page() -> str:
    """Describe every setting of both services: ``settings.md``."""
    common = CommonSettings.model_fields
    return _PAGE.format(
        both=_table(common),
        front=_table(_own(FrontSettings.model_fields, common)),
        back=_table(_own(BackSettings.model_fields, common)),
    )


def _own(
    fields: Mapping[str, FieldInfo], common: Mapping[str, FieldInfo]
) -> Mapping[str, FieldInfo]:
    return {name: field for name, field in fields.items() if name not in common}


def _table(fields: Mapping[str, FieldInfo]) -> str:
    rows = "\n".join(_row(name, fields[name]) for name in sorted(fields))
    return f"| setting | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    told = ", ".join([_kind(field.annotation), *_bounds(field)])
    return f"| `{PREFIX}{name.upper()}` | {told} | {_default(field)} | {field.description or ''} |"


def _kind(annotation: Any) -> str:
    inner = [part for part in get_args(annotation) if part not in (NoneType, ...)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{word}`" for word in inner)
    if get_origin(annotation) is tuple:
        return f"list of {_KINDS.get(inner[0]) or _kind(inner[0])}"
    return _KINDS.get(annotation) or _kind(inner[0])


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        for name, words in _BOUNDS:
            if (bound := getattr(rule, name, None)) is not None:
                yield words.format(_plain(bound))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    return f"`{text}`" if (text := _plain(field.default)) else "none"


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return f"{value.total_seconds():g}"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
