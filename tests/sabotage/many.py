"""Defects of what is about many jobs at once: unique keys, batches, bulk changes."""

from typing import Final

from tests.sabotage.defect import Defect

_SQL: Final = "shared/store/queries/"
_UNIQUE: Final = "tests/integration/test_races_unique.py::test_a_unique_key_is_held_by_one"
_BATCH: Final = "tests/integration/test_races_batches.py::test_a_batch_ends_once"

MANY: Final = (
    Defect(
        id="U1",
        breaks="a unique key is given away without asking whether its job lives",
        file=_SQL + "name_holders.sql",
        text="THEN j.completed_at IS NULL",
        instead="THEN false",
        tests=(_UNIQUE + "[two_are_one]",),
        servers=True,
    ),
    Defect(
        id="U2",
        breaks="a replay does not mind who holds the unique key of its job by now",
        file="shared/store/names.py",
        text="    if holder is not None:\n        raise _taken(row",
        instead="    if holder is None:\n        raise _taken(row",
        tests=(_UNIQUE + "[two_replays_of_one_name]",),
        servers=True,
    ),
    Defect(
        id="U3",
        breaks="a refused submission keeps its Idempotency-Key",
        file="shared/store/names.py",
        text="    await _disown(connection, batch, verdict)\n",
        instead="",
        tests=(
            "tests/integration/test_races_unique.py::test_the_one_that_is_refused_leaves_nothing",
        ),
        servers=True,
    ),
    Defect(
        id="B1",
        breaks="of several that end the last jobs of a batch nobody ends it",
        file="shared/store/work.py",
        text="        settled.news += await closed(self._pool, settled.batches)\n",
        instead="",
        tests=(_BATCH + "[two_finishes]",),
        servers=True,
    ),
    Defect(
        id="B2",
        breaks="a batch is over as soon as one of its jobs is",
        file=_SQL + "close_batches.sql",
        text="             WHERE m.batch = b.id AND j.completed_at IS NULL\n",
        instead="             WHERE m.batch = b.id AND false\n",
        tests=(_BATCH + "[two_finishes]",),
        servers=True,
    ),
    Defect(
        id="B3",
        breaks="a bulk replay that is repeated replays what has failed again meanwhile",
        file=_SQL + "replay.sql",
        text="completed_at <= $6)",
        instead="completed_at <= $6 OR true)",
        tests=("tests/integration/test_operating.py::TestDelete::test_what_ended_later_stays",),
        servers=True,
    ),
)
