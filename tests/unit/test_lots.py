"""How the relay puts rows that have waited into knocks."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.ids import JobId
from shared.contract.messages import MOST_JOBS, decode_knock, encode_knock
from shared.outbox import gathered
from shared.store.rows import OutboxRow

_SHAPES = st.lists(
    st.tuples(st.sampled_from(["jobs.a.high", "jobs.a.low"]), st.booleans(), st.integers(1, 32))
)


def rows_of(shapes: list[tuple[str, bool, int]]) -> list[OutboxRow]:
    """Make a row for each (route, keyed, count of jobs); no two name the same job."""
    rows: list[OutboxRow] = []
    for number, (route, keyed, size) in enumerate(shapes):
        ids = tuple(JobId(UUID(int=number * 100 + place)) for place in range(size))
        rows.append(OutboxRow(id=number, route=route, job_ids=ids, keyed=keyed, track_ids="t"))
    return rows


@given(_SHAPES)
def test_every_row_goes_out_once_in_a_knock_of_its_own_kind(
    shapes: list[tuple[str, bool, int]],
) -> None:
    """Nothing is lost, doubled or sent the wrong way, and every knock can be read."""
    rows = rows_of(shapes)

    lots = gathered(rows)

    assert sorted(row.id for lot in lots for row in lot) == [row.id for row in rows]
    for lot in lots:
        assert len({(row.route, row.keyed) for row in lot}) == 1
        ids = [job_id for row in lot for job_id in row.job_ids]
        assert decode_knock(encode_knock(ids, keyed=lot[0].keyed)).job_ids == tuple(ids)


def test_rows_of_single_jobs_fill_knocks() -> None:
    """After an outage few knocks name many jobs, so that workers fill all their slots."""
    lots = gathered(rows_of([("jobs.a.high", False, 1)] * (2 * MOST_JOBS + 1)))

    assert [len(lot) for lot in lots] == [MOST_JOBS, MOST_JOBS, 1]
