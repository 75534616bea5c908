"""Defects that the reference model must notice, and those of the caps and of the owner of files."""

from typing import Final

from tests.sabotage.defect import Defect

_MODEL: Final = (
    "tests/properties/test_store_and_reference.py::test_the_store_does_what_the_reference_does",
)
_SWEEPER: Final = "tests/unit/back/test_sweeper.py::"

REFERENCE: Final = (
    Defect(
        id="I8m",
        breaks="a job that was asked to stop is tried again",
        file="shared/contract/states.py",
        text="{State.RUNNING: State.RETRYING, State.CANCELLING: State.CANCELLED}",
        instead="{State.RUNNING: State.RETRYING, State.CANCELLING: State.RETRYING}",
        tests=_MODEL,
        servers=True,
    ),
    Defect(
        id="I9m",
        breaks="files of another database are deleted as strays",
        file="back_service/upkeep/sweeper.py",
        text="        if not await self._ownership.is_ours():\n            return 0\n",
        instead="",
        tests=(_SWEEPER + "test_in_the_folder_of_another_database_nothing_is_deleted",),
    ),
    Defect(
        id="I12m",
        breaks="an address that came and went often is shut out for good",
        file="front_service/crowd.py",
        text="self._of[home] -= 1",
        instead="self._of[home] -= 0",
        tests=("tests/front/test_crowd.py::test_i12_nobody_has_more_than_his_share",),
    ),
    Defect(
        id="I12n",
        breaks="streams without end are opened",
        file="front_service/push/stream.py",
        text="if self._open >= self._most:",
        instead="if self._open < 0:",
        tests=(
            "tests/front/test_caps.py::test_i12_a_stream_too_many_is_refused_before_the_upgrade",
        ),
    ),
)
