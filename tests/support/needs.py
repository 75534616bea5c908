"""What a test needs from outside: at a desk it is skipped without it, in CI it fails."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Say why a test cannot run here."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def need_setting(name: str) -> str:
    """Read what `make test` hands down."""
    value = os.environ.get(name)
    return value or missing(f"{name} is not set: run this test through `make test`")
