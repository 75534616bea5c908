"""What the text of an address gives away: enough to refuse some, never enough to trust one."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.addresses import Address, EgressRules, read_address

CLOSED = EgressRules()
PLAIN = EgressRules.of(ports=(80, 443), networks=())
INSIDE = EgressRules.of(ports=(443,), networks=("10.0.0.0/8", "fd12::/16"))


def test_an_address_says_where_and_how() -> None:
    """Left-out ports are those of the scheme."""
    assert read_address("https://a.example/x") == Address(host="a.example", port=443, secure=True)
    assert read_address("http://[::1]:8080") == Address(host="::1", port=8_080, secure=False)
    assert read_address("http://a.example").port == 80


@pytest.mark.parametrize(
    ("rules", "text", "is_open"),
    [
        (CLOSED, "https://a.example", True),
        (CLOSED, "https://a.example:8443", True),
        (CLOSED, "https://a.example:444", False),
        (CLOSED, "http://a.example", False),
        (CLOSED, "http://a.example:443", False),
        (CLOSED, "http://93.184.216.34", False),
        (PLAIN, "http://a.example", True),
        (PLAIN, "http://a.example:8080", False),
        (PLAIN, "https://a.example:80", True),
        (INSIDE, "http://10.1.2.3:9000", True),
        (INSIDE, "http://[fd12::7]:9000", True),
        (INSIDE, "http://93.184.216.34", False),
        (INSIDE, "http://files.internal:9000", True),  # a name may lead inside
    ],
)
def test_what_will_be_refused_wherever_it_leads_is_known_at_once(
    rules: EgressRules, text: str, *, is_open: bool
) -> None:
    """The same table as at the socket, read from the text alone."""
    assert (rules.fault(read_address(text)) is None) is is_open


@given(st.text() | st.text().map("https://".__add__))
def test_no_text_raises_anything_else(text: str) -> None:
    """It is a stranger's: a value error, which pydantic turns into a mistake with its place."""
    with suppress(ValueError):
        assert CLOSED.fault(read_address(text)) != ""
