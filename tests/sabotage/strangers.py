"""Defects of the guards against strangers: what they send, what they make us dial."""

from typing import Final

from tests.sabotage.defect import Defect

_SSRF: Final = "tests/fetching/test_ssrf.py::"
_EGRESS: Final = "tests/fetching/test_egress.py::"
_CATALOGUE: Final = "tests/front/test_catalogue.py::test_every_case_ends_as_it_states"

STRANGERS: Final = (
    Defect(
        id="S17c",
        breaks="a private network is missing in the table of what is denied",
        file="shared/contract/networks.py",
        text='        "10.0.0.0/8",  # private\n',
        instead="",
        tests=(_EGRESS + "test_what_is_not_public_is_denied",),
    ),
    Defect(
        id="S17d",
        breaks="a setting for private networks opens the metadata of a cloud machine",
        file="shared/contract/networks.py",
        text='        "fd00:ec2::/32",  # metadata\n',
        instead="",
        tests=(_EGRESS + "test_metadata_and_disguises_cannot_be_opened",),
    ),
    Defect(
        id="S17e",
        breaks="an address in an odd notation is left to whatever resolves it",
        file="shared/contract/addresses.py",
        text="    if _ENDS_IN_A_NUMBER.fullmatch(host):\n",
        instead="    if host is None:\n",
        tests=(_SSRF + "test_an_address_is_refused_by_what_it_says",),
    ),
    Defect(
        id="S17f",
        breaks="a submit is accepted whose file's address leads inside",
        file="shared/contract/addresses.py",
        text="leads_inside, may_be_open = not is_public(literal), self.opens(literal)",
        instead="leads_inside, may_be_open = False, self.opens(literal)",
        tests=(_SSRF + "test_the_front_says_so_at_the_submit",),
    ),
    Defect(
        id="S17g",
        breaks="a public address of this very machine may be dialled",
        file="back_service/egress.py",
        text="        if not is_public(address) or _is_ours(text, address):\n",
        instead="        if not is_public(address):\n",
        tests=(_SSRF + "test_an_address_of_our_own_is_denied",),
    ),
    Defect(
        id="S17h",
        breaks="IPv4 within a tunnel's address is dialled",
        file="shared/contract/networks.py",
        text="    return 1 < number < 2**32 or (number >> 32) & 0xFCFF_FFFF == _TUNNEL\n",
        instead="    return 1 < number < 2**32\n",
        tests=(_EGRESS + "test_what_is_not_public_is_denied",),
    ),
    Defect(
        id="I12b",
        breaks="half a head holds a connection for ever",
        file="front_service/heads.py",
        text="            connection.force_close()\n",
        instead="",
        tests=("tests/front/test_bad_http.py::test_half_a_head_does_not_hold_a_line",),
    ),
    Defect(
        id="I12c",
        breaks="only the first head of a connection is timed",
        file="front_service/connection.py",
        text='        if is_idle and data.strip(b"\\r\\n"):\n',
        instead="        if is_idle and data is None:\n",
        tests=(_CATALOGUE,),
    ),
    Defect(
        id="I12d",
        breaks="an answer waits for ever for a reader that takes nothing",
        file="front_service/readers.py",
        text="            connection.cut()\n",
        instead="",
        tests=("tests/front/test_readers.py::test_who_takes_nothing_is_cut_off",),
    ),
    Defect(
        id="I12e",
        breaks="a body that never comes is waited for",
        file="front_service/api/bodies.py",
        text="        async with asyncio.timeout(_PATIENCE):\n",
        instead="        async with asyncio.timeout(None):\n",
        tests=("tests/front/test_bad_http.py::test_a_body_that_never_comes_is_timed",),
    ),
    Defect(
        id="I12f",
        breaks="JSON may be as deep as it likes",
        file="front_service/bodies.py",
        text="        if depth > _DEEPEST:\n",
        instead="        if depth > 1_000 * _DEEPEST:\n",
        tests=("tests/front/test_bodies.py::test_what_costs_too_much_is_refused",),
    ),
    Defect(
        id="I12g",
        breaks="frames without a mask are taken for a client's",
        file="front_service/push/frames.py",
        text="                all_masked &= bool(self._head[1] & _MASKED)\n",
        instead="",
        tests=(
            "tests/front/test_frames.py::test_a_frame_without_a_mask_is_seen_wherever_it_stands",
        ),
    ),
    Defect(
        id="I12h",
        breaks="a broken part of a form is a 500 of ours",
        file="front_service/api/multipart.py",
        text="    *(HttpProcessingError, web.HTTPException),\n",
        instead="    *(web.HTTPException,),\n",
        tests=(_CATALOGUE,),
    ),
    Defect(
        id="I13",
        breaks="a message of a million empty events is taken apart",
        file="shared/broker/fanout.py",
        text="most=_MOST_IN_A_PACK",
        instead="most=None",
        tests=(
            "tests/unit/test_forged_news.py::test_a_message_that_none_of_us_would_send_is_dropped_unread",
        ),
    ),
)
