"""Whose turn it is, when several tenants want the same slots."""

from collections import Counter

from back_service.turns import Turns
from shared.contract.access import tenant_id
from shared.contract.ids import JobId, TenantId
from tests.support.builders import a_job_id
from tests.unit.back.deliveries import HIGH, LOW, NORMAL

CROWD, SMALL, THIRD = (tenant_id(name) for name in ("crowd", "small", "third"))


def jobs(count: int) -> list[tuple[JobId, bool]]:
    return [(a_job_id(), False) for _ in range(count)]


def turns(*, slots: int = 16, **waiting: dict[TenantId, list[tuple[JobId, bool]]]) -> Turns:
    made = Turns((HIGH, NORMAL, LOW), slots=slots)
    made.set({{"high": HIGH, "normal": NORMAL, "low": LOW}[name]: w for name, w in waiting.items()})
    return made


def owners(
    turns: Turns, free: int, of: dict[TenantId, list[tuple[JobId, bool]]]
) -> Counter[TenantId]:
    owner = {job_id: tenant for tenant, those in of.items() for job_id, _ in those}
    return Counter(owner[job_id] for job_id in turns.pick(free).job_ids)


def test_i16_each_tenant_gets_the_same_however_many_jobs_it_has() -> None:
    """A hundred thousand jobs are one tenant's, and three are another's."""
    waiting = {CROWD: jobs(1_000), SMALL: jobs(3), THIRD: jobs(50)}

    assert owners(turns(normal=waiting), 9, waiting) == {CROWD: 3, SMALL: 3, THIRD: 3}
    assert owners(turns(normal=waiting), 13, waiting) == {CROWD: 5, SMALL: 3, THIRD: 5}


def test_who_has_the_fewest_running_is_next() -> None:
    """What was handed out before counts, on whatever route."""
    waiting = {CROWD: jobs(10), SMALL: jobs(10)}
    shared = turns(normal=waiting)
    for _ in range(5):
        shared.started(CROWD)

    assert owners(shared, 5, waiting) == {SMALL: 5}


def test_i16_a_part_of_the_slots_is_kept_from_the_greatest() -> None:
    """So that who comes next need not wait until a long job of somebody else's ends."""
    waiting = {CROWD: jobs(100)}
    shared = turns(normal=waiting)
    shared.others_are_about = True

    assert len(shared.pick(16).job_ids) == 12
    shared.others_are_about = False
    assert len(shared.pick(16).job_ids) == 16


def test_one_slot_is_nobodys_share() -> None:
    """Of one there is nothing to keep; of two, one."""
    for slots, most in ((1, 1), (2, 1), (4, 3), (100, 75)):
        shared = turns(slots=slots)
        shared.others_are_about = True
        assert shared.most == most


def test_priorities_keep_their_shares() -> None:
    """High before normal before low, as without tenants; and the last slot is for high alone."""
    waiting = {SMALL: jobs(100)}
    shared = turns(high={CROWD: jobs(100)}, low=waiting)

    found = shared.pick(7).job_ids
    low = {job_id for job_id, _ in waiting[SMALL]}
    assert sum(job_id in low for job_id in found) == 1
    assert not low & set(shared.pick(5, only_high=True).job_ids)


def test_a_lane_is_asked_to_end_while_somebody_with_less_waits() -> None:
    """A key with a long line would keep its slot for many jobs else."""
    shared = turns(normal={SMALL: jobs(1)})
    shared.started(CROWD)

    assert shared.wants(CROWD)
    shared.started(SMALL)
    assert not shared.wants(CROWD)
    shared.ended(SMALL)
    shared.pick(1)
    assert not shared.wants(CROWD)


def test_a_key_is_told() -> None:
    """A claim has to hold it."""
    shared = turns(normal={SMALL: [(a_job_id(), True)]})

    assert shared.pick(1).keyed
