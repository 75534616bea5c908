"""The reference of settings has all of them, each with its meaning."""

import re

import pytest

from docs.settings_page import settings_page
from shared.runtime.settings import PREFIX, BackSettings, CommonSettings, FrontSettings


def test_every_setting_is_listed_once() -> None:
    """Under the service that reads it; those of both under both."""
    listed = re.findall(rf"^\| `{PREFIX}([A-Z_]+)`", settings_page(), re.MULTILINE)

    assert sorted(listed) == sorted(
        {name.upper() for kind in (FrontSettings, BackSettings) for name in kind.model_fields}
    )


@pytest.mark.parametrize("kind", [CommonSettings, FrontSettings, BackSettings])
def test_every_setting_says_what_it_means(kind: type[CommonSettings]) -> None:
    """A name alone leaves its reader to guess."""
    assert [n for n, field in kind.model_fields.items() if not field.description] == []


def test_types_bounds_and_defaults_are_said_in_words() -> None:
    """As one would write them into the environment."""
    page = settings_page()

    assert "| `UKETSUKE_PORT` | whole number, from 1, to 65535 | `8080` |" in page
    assert "| `UKETSUKE_LEASE` | seconds, from 2 | `10` |" in page
    assert "| `UKETSUKE_DATABASE_URL` | secret | must be set |" in page
    assert "| `UKETSUKE_REUSE_PORT` | yes or no | `no` |" in page
    assert "| `UKETSUKE_ROLES` | list of `work` or `upkeep` | `work,upkeep` |" in page
