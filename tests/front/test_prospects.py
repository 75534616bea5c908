"""Where a job stands, and when it may be done: reckoned, with every number stated."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from front_service.prospects import (
    LONGEST_SILENCE,
    Line,
    Waiting,
    Workforce,
    after,
    seconds_of,
)
from shared.contract.ids import THE_TENANT, JobId, TenantId
from shared.contract.presence import Beat
from tests.support.builders import START, a_job_id, a_tenant


def a_beat(worker: str = "w", **facts: object) -> Beat:
    usual: dict[str, object] = {"slots": 2, "pools": ("default",), "types": ("a.b", "c.d")}
    return Beat(worker=worker, **usual | facts)  # type: ignore[arg-type]  # as stated above


def a_line(most: int = 100, **lanes: list[Waiting]) -> Line:
    line = Line(at=START, lanes={}, most=most)
    for priority, jobs in lanes.items():
        for job in jobs:
            line.add(job, priority)
    return line


def waiting(count: int, name: str = "a.b", tenant: TenantId = THE_TENANT) -> list[Waiting]:
    return [Waiting(a_job_id(), tenant, name) for _ in range(count)]


class TestWorkforce:
    def test_slots_of_workers_that_could_run_it_are_added_up(self) -> None:
        """Neither another pool nor an unknown type counts."""
        force = Workforce()
        force.hear(a_beat("one"), 0)
        force.hear(a_beat("two", slots=3), 0)
        force.hear(a_beat("three", pools=("gpu",)), 0)
        force.hear(a_beat("four", types=("c.d",)), 0)

        assert force.slots("default", "a.b", 0) == 5

    def test_a_worker_that_is_silent_or_leaves_has_no_slots(self) -> None:
        """A crash is told by silence, a drain by a last beat."""
        force = Workforce()
        force.hear(a_beat("crashed"), 0)
        force.hear(a_beat("left"), 0)
        force.hear(a_beat("left", slots=0), 1)

        assert force.slots("default", "a.b", LONGEST_SILENCE) == 2
        assert force.slots("default", "a.b", LONGEST_SILENCE + 0.1) == 0

    def test_what_is_usual_is_the_mean_of_workers_and_outlives_them(self) -> None:
        """A deployment must not forget how long a type takes."""
        force = Workforce()
        force.hear(a_beat("one", seconds={"a.b": 2.0}), 0)
        force.hear(a_beat("two", seconds={"a.b": 4.0}), 0)
        force.hear(a_beat("new"), 1_000)

        assert force.usual("a.b") == 3.0
        assert force.usual("c.d") is None

    def test_it_does_not_grow_without_end(self) -> None:
        """Names of workers are made up at will, by whoever may publish."""
        force = Workforce()
        for number in range(1_500):
            force.hear(a_beat(str(number), slots=1, seconds={f"t.{number}": 1.0}), 0)
            force.forget({"a.b"})

        assert force.slots("default", "a.b", 0) == 1_000
        assert force.usual("t.7") is None


class TestLine:
    def test_a_place_is_counted_among_the_tenants_own_jobs(self) -> None:
        """How much others have waiting is not told."""
        mine, theirs = waiting(1), waiting(5, tenant=a_tenant())
        line = a_line(normal=[*theirs, *mine])

        place = line.place(mine[0].id, "normal")

        assert place == 5
        assert line.position(THE_TENANT, "normal", place) == 1

    def test_a_long_line_is_counted_as_a_short_one(self) -> None:
        """What is summed up on the way says the same as counting one by one, at every place."""
        jobs = [
            Waiting(a_job_id(), tenant, name)
            for tenant, name in zip(
                [THE_TENANT, a_tenant(), THE_TENANT] * 70, ["a.b", "c.d"] * 105, strict=True
            )
        ]
        line = a_line(most=1_000, normal=jobs)

        for place in range(len(jobs) + 1):
            before = jobs[:place]
            own = sum(job.tenant == THE_TENANT for job in before)
            assert line.ahead("normal", place) == Counter(job.type for job in before)
            assert line.position(THE_TENANT, "normal", place) == 1 + own

    def test_a_job_is_looked_for_in_its_own_lane(self) -> None:
        """And not found if it came after the line was read."""
        urgent, usual = waiting(1), waiting(3)
        line = a_line(high=urgent, normal=usual)

        assert line.place(usual[2].id, "normal") == 2
        assert line.place(urgent[0].id, "normal") is None
        assert line.place(JobId(a_job_id()), "normal") is None

    def test_the_end_of_a_line_that_was_not_read_to_its_end_is_not_known(self) -> None:
        """No number is better than a wrong one."""
        line = a_line(most=3, high=waiting(3), normal=waiting(2))

        assert line.end("high") is None
        assert line.end("normal") == 2
        assert line.end("low") == 0

    def test_who_has_come_since_joins_at_the_end_and_once(self) -> None:
        """A line is read once a second; jobs come faster."""
        line = a_line(most=3, normal=waiting(1))
        one, two, three = waiting(3)

        assert [line.join(job, "normal") for job in (one, two, one, three)] == [1, 2, 1, None]
        assert line.place(two.id, "normal") == 2
        assert line.join(three, "low") == 0

    @pytest.mark.parametrize(
        ("priority", "before"),
        [
            ("high", {"a.b": 6, "c.d": 3, "e.f": 1}),
            ("normal", {"a.b": 12, "c.d": 6, "e.f": 2}),
            ("low", {"a.b": 20, "c.d": 18, "e.f": 6}),
        ],
    )
    def test_other_lanes_come_before_it_by_their_shares(
        self, priority: str, before: Mapping[str, int]
    ) -> None:
        """Six, three and one: as workers deal their turns."""
        line = a_line(high=waiting(20), normal=waiting(20, "c.d"), low=waiting(20, "e.f"))

        assert line.ahead(priority, 6) == before


class TestReckoning:
    def test_the_work_ahead_is_the_sum_of_what_is_usual(self) -> None:
        """Types differ, and one that nobody has seen makes the whole unknown."""
        force = Workforce()
        force.hear(a_beat(seconds={"a.b": 2.0, "c.d": 0.5}), 0)

        assert seconds_of({"a.b": 3, "c.d": 2}, force) == 7.0
        assert seconds_of({"a.b": 3, "new.one": 1}, force) is None
        assert seconds_of({}, force) == 0

    @pytest.mark.parametrize(
        ("seconds", "then"),
        [(0, START), (1.2, START + timedelta(seconds=2)), (1e12, None), (366 * 86_401, None)],
    )
    def test_a_moment_is_a_whole_second_or_unknown(
        self, seconds: float, then: datetime | None
    ) -> None:
        """It is an estimate, and what changes with each question could not be cached."""
        assert after(START, seconds) == then
