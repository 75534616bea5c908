"""Defects in who may: what keeps tenants apart, and lets each have his turn."""

from typing import Final

from tests.sabotage.defect import Defect

_HUB: Final = "tests/front/test_hub.py::"
_ACCESS: Final = "tests/front/test_access.py::"
_BACK: Final = "tests/unit/back/"

ACCESS: Final = (
    Defect(
        id="I11a",
        breaks="whoever watches a job first has the place that its owner's stream stands in",
        file="front_service/push/hub.py",
        text="places.setdefault(tenant, Watched(now))",
        instead="places.setdefault(next(iter(places), tenant), Watched(now))",
        tests=(_HUB + "test_i11_a_stranger_who_watches_first_keeps_nothing_from_the_owner",),
    ),
    Defect(
        id="I11b",
        breaks="the scope that stands in the table of routes is not asked for",
        file="front_service/middleware/entrance.py",
        text="            principal.check(gate.needs)\n",
        instead="            pass\n",
        tests=(_ACCESS + "TestTheTable::test_a_route_takes_the_scope_that_stands_in_the_table",),
    ),
    Defect(
        id="I11c",
        breaks="a revoked key is believed for as long as the database is away",
        file="front_service/keyring.py",
        text="if known is not None and now - known.read_at < FRESH:",
        instead="if known is not None:",
        tests=("tests/front/test_keyring.py::test_what_was_read_too_long_ago_is_not_believed",),
    ),
    Defect(
        id="I11d",
        breaks="an open stream outlives the key that let its caller in",
        file="front_service/keyring.py",
        text="                self._on_end(known.key.id)\n",
        instead="                pass\n",
        tests=(_ACCESS + "TestStreams::test_a_socket_is_closed_when_its_key_ends",),
    ),
    Defect(
        id="I16a",
        breaks="one tenant may have all slots while others are about",
        file="back_service/turns.py",
        text="return self._slots - kept if self.others_are_about else self._slots",
        instead="return self._slots + kept - kept",
        tests=(
            "tests/unit/back/test_turns.py::test_i16_a_part_of_the_slots_is_kept_from_the_greatest",
        ),
    ),
    Defect(
        id="I16b",
        breaks="a second tenant is not looked for behind the crowd of the first",
        file="back_service/lines.py",
        text="if self.is_on or len(self._seen) > 1:",
        instead="if self.is_on:",
        tests=(
            "tests/unit/back/test_sharing.py::test_i16_who_comes_after_a_crowd_has_the_next_slot",
        ),
    ),
)
