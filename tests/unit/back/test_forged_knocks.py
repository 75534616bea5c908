"""What anybody may write into a queue of ours: it is settled once, and good knocks go on."""

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.contract.messages import MOST_JOBS
from tests.support.builders import a_job_id
from tests.unit.back.deliveries import HIGH, LOW, NORMAL
from tests.unit.back.test_consumer import Works

ROUTES = st.sampled_from([HIGH, NORMAL, LOW])
_INTEGERS = st.integers(-(2**63), 2**63 - 1)  # as much as can be written
ANY = st.recursive(
    st.none() | st.booleans() | _INTEGERS | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below),
    max_leaves=5,
)
UNKNOWN = st.lists(st.uuids().map(str), min_size=1, max_size=MOST_JOBS)
ALMOST = st.fixed_dictionaries(
    {"version": st.sampled_from([1, 1, 1, 2, 0, -1, 10**30, "1", None])},
    optional={"job_ids": UNKNOWN | st.lists(ANY, max_size=40) | ANY, "keyed": ANY, "more": ANY},
)
BODIES = (
    st.binary(max_size=60)
    | ANY.map(repr).map(str.encode)
    | ALMOST.map(
        lambda body: (
            orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
            if -(2**63) < (body["version"] if isinstance(body["version"], int) else 0) < 2**63
            else b'{"version": 1e999}'
        )
    )
)


async def answered(forged: list[tuple[bytes, str]]) -> tuple[Works, list[Any], list[int]]:
    """Put one good knock behind all that is *forged*; wait until everything is settled."""
    works = Works()
    works.may_end.set()
    [good] = works.queue(1)
    with capture_logs() as lines:
        async with works.open():
            deliveries = [works.broker.deliver_body(body, route=route) for body, route in forged]
            works.inbox.put(*deliveries)
            tag = works.knock(good)
            tags = [*(delivery.tag for delivery in deliveries), tag]

            def all_settled() -> bool:
                return sorted(works.broker.acked + works.broker.rejected) == sorted(tags)

            await works.until(all_settled, "each message is settled, and none twice")
            await works.until(lambda: works.begun == [good], "the good job runs")
    return works, lines, tags


@settings(max_examples=40)
@given(st.lists(st.tuples(BODIES, ROUTES), max_size=12))
def test_i13_forged_knocks_are_let_go_or_laid_aside(forged: list[tuple[bytes, str]]) -> None:
    """Garbage, wrong types, foreign ids, other versions: one line at most, and the rest goes on."""
    works, lines, tags = asyncio.run(answered(forged))
    told = [line for line in lines if line["log_level"] in ("warning", "error", "critical")]

    assert all(line["event"].startswith("knock ") for line in told)
    assert len(told) == len(works.broker.rejected) + sum("newer" in line["event"] for line in lines)
    assert tags[-1] in works.broker.acked


def test_i13_ids_of_nobody_cost_one_question() -> None:
    """A knock for jobs that do not exist is acknowledged, and asked for never again."""
    ids = [a_job_id() for _ in range(MOST_JOBS)]
    body = orjson.dumps({"version": 1, "job_ids": [str(job_id) for job_id in ids]})

    works, _, tags = asyncio.run(answered([(body, NORMAL)] * 3))

    assert sorted(works.broker.acked) == tags
    assert works.broker.rejected == []
