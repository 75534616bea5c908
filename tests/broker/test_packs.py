"""Packs: several event bodies in one message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.packs import UnreadablePack, pack, unpack


@given(st.lists(st.binary(max_size=300)))
def test_what_was_packed_comes_out_again(bodies: list[bytes]) -> None:
    """An event must arrive as it was offered, whatever its bytes."""
    assert unpack(pack(bodies)) == bodies


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1), st.data())
def test_a_torn_pack_is_refused_as_a_whole(bodies: list[bytes], data: st.DataObject) -> None:
    """Half a body must not be taken for an event."""
    whole = pack(bodies)
    torn = whole[: data.draw(st.integers(min_value=1, max_value=len(whole) - 1))]
    edges = {len(pack(bodies[:n])) for n in range(len(bodies))}

    if len(torn) in edges:
        assert unpack(torn) == bodies[: len(unpack(torn))]
    else:
        with pytest.raises(UnreadablePack):
            unpack(torn)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_read_or_refused_and_do_no_harm(foreign: bytes) -> None:
    """Anybody with the right to write to the exchange can send anything."""
    try:
        bodies = unpack(foreign)
    except UnreadablePack:
        return
    assert pack(bodies) == foreign
