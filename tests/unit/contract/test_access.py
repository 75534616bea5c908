"""Names of tenants, scopes, and API keys as they are written."""

from hashlib import sha256

import pytest

from shared.contract.access import (
    KEY_BYTES,
    Scope,
    digest_of,
    read_scopes,
    tenant_id,
    write_key,
)
from shared.contract.ids import THE_TENANT


def test_a_tenant_has_the_same_id_everywhere() -> None:
    """No replica has to ask which one; and two names are two tenants."""
    assert tenant_id("acme") == tenant_id("acme") != tenant_id("acme-2")


def test_the_default_tenant_owns_what_was_there_before() -> None:
    """Who makes his first key keeps his jobs."""
    assert tenant_id("default") == THE_TENANT


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "ä", "a" * 64, "a\n", "a/b", "a\0"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A name is read by people, and typed by them."""
    with pytest.raises(ValueError, match="1 to 63"):
        tenant_id(name)


def test_scopes_are_read_in_any_order() -> None:
    """As somebody types them."""
    assert read_scopes("read, submit") == {Scope.READ, Scope.SUBMIT}


@pytest.mark.parametrize("text", ["", ",", "write", "read,all", "READ"])
def test_an_unknown_scope_is_refused_and_the_known_ones_are_named(text: str) -> None:
    """A slip of the pen must not make a key that can do less, or more, than was meant."""
    with pytest.raises(ValueError, match="submit, read, cancel, operate"):
        read_scopes(text)


def test_only_the_digest_of_a_key_is_compared() -> None:
    """What is stored opens nothing."""
    shown = write_key(bytes(range(KEY_BYTES)))

    assert shown.startswith("uketsuke_")
    assert digest_of(shown) == sha256(shown.encode()).digest()


@pytest.mark.parametrize(
    "text", ["", "uketsuke_", "x" * 52, "uketsuke_" + "a" * 44, "uketsuke_" + "ä" * 43, "Uketsuke_"]
)
def test_what_cannot_be_a_key_is_not_even_looked_for(text: str) -> None:
    """Garbage costs no question to the database."""
    assert digest_of(text) is None


def test_a_key_of_too_little_chance_is_not_made() -> None:
    """Its digest stands in a table: only the chance in it protects it."""
    with pytest.raises(ValueError, match="16"):
        write_key(bytes(16))
