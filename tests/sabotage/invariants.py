"""Defects beyond the list of the design, each named after the invariant that it breaks."""

from typing import Final

from tests.sabotage.defect import Defect

_SQL: Final = "shared/store/queries/"
_WORK: Final = "tests/integration/test_work.py::"
_TROUBLE: Final = "tests/integration/test_trouble.py::"
_UPKEEP: Final = "tests/integration/test_upkeep.py::"
_DURABLE: Final = "tests/integration/test_durable.py::"
_HUB: Final = "tests/front/test_hub.py::"
_FINISHER: Final = "tests/integration/test_finisher.py::"
_SUBMIT: Final = "tests/integration/test_submit.py::"
_WISHES: Final = "tests/integration/test_races_operate.py::"
_BACK: Final = "tests/unit/back/"

INVARIANTS: Final = (
    Defect(
        id="I1",
        breaks="a knock is gone when the broker starts again",
        file="shared/broker/publisher.py",
        text="_PERSISTENT: Final = 2",
        instead="_PERSISTENT: Final = 1",
        tests=("tests/broker/test_publisher.py::test_a_confirmed_knock_lies_in_its_queue",),
        servers=True,
    ),
    Defect(
        id="I1b",
        breaks="a job is denied that was stored, because the answer to its commit was lost",
        file="shared/store/intake.py",
        text="            return await self._find_out(lot)\n",
        instead="            return [_away() for _ in lot]\n",
        tests=(_TROUBLE + "test_i1_commit_reply_cut_after_the_commit_is_a_yes",),
        servers=True,
    ),
    Defect(
        id="I1c",
        breaks="a power cut takes an ending back that somebody was told of",
        file="shared/store/work.py",
        text="await _settle(self._pool, rulings, in_order=False)",
        instead="await _settle(self._quick, rulings, in_order=False)",
        tests=(_DURABLE + "test_i1_a_verdict_waits_for_the_disk",),
        servers=True,
    ),
    Defect(
        id="I2",
        breaks="a verdict that was stored passes for stale, because the answer was lost",
        file="back_service/finishing.py",
        text="self._work.finish(rulings, again=again)",
        instead="self._work.finish(rulings, again=False)",
        tests=(_FINISHER + "test_i1_a_verdict_whose_commit_was_not_answered_is_no_stale_one",),
        servers=True,
    ),
    Defect(
        id="I3",
        breaks="a job that ends its worker is given to one after another, for ever",
        file=_SQL + "rescue.sql",
        text="token = token + 1, crashes = crashes + 1,",
        instead="token = token + 1,",
        tests=(_UPKEEP + "test_i3_a_crash_loop_ends_after_three_and_frees_the_key",),
        servers=True,
    ),
    Defect(
        id="I3b",
        breaks="a key stands still when time ends its head",
        file="shared/store/upkeep.py",
        text='heads = await connection.fetch(statement("advance"), [m.id for m in moved])',
        instead="heads = list[asyncpg.Record]()",
        tests=(_UPKEEP + "test_i3_what_has_lasted_too_long_expires_and_frees_its_key",),
        servers=True,
    ),
    Defect(
        id="I4",
        breaks="the token of a claim that a crash took back is given once more",
        file=_SQL + "claim.sql",
        text="token = token + 1 + floor(random() * 1000000)::bigint",
        instead="token = token + 1",
        tests=(_DURABLE + "test_i4_a_claim_that_was_taken_back_leaves_no_token_that_fits",),
        servers=True,
    ),
    Defect(
        id="I5",
        breaks="a job behind the head of its key is knocked for",
        file=_SQL + "knock.sql",
        text="AND (j.key IS NULL OR j.id = (\n",
        instead="AND (true OR j.key IS NULL OR j.id = (\n",
        tests=(_UPKEEP + "test_a_due_job_that_is_not_the_head_waits_for_its_turn",),
        servers=True,
    ),
    Defect(
        id="I5b",
        breaks="a failed job of a type that holds its key lets it go on",
        file=_SQL + "go_on.sql",
        text=" AND NOT (blocks AND state = 'failed')",
        instead="",
        tests=(_WORK + "test_a_failed_job_of_a_blocking_type_holds_its_key",),
        servers=True,
    ),
    Defect(
        id="I5c",
        breaks="a replayed job overtakes those that were accepted meanwhile",
        file=_SQL + "replay.sql",
        text="seq = coalesce((SELECT tail FROM placed), j.seq)",
        instead="seq = j.seq",
        tests=("tests/integration/test_replay.py::test_a_replayed_job_goes_to_the_end_of_its_key",),
        servers=True,
    ),
    Defect(
        id="I6",
        breaks="a watcher that did not keep up misses events and does not know it",
        file="front_service/push/hub.py",
        text="            self._looks.clear()\n            self._lags = True\n",
        instead="            self._looks.clear()\n",
        tests=(_HUB + "test_i6_a_watcher_that_lost_looks_is_told_so",),
    ),
    Defect(
        id="I7",
        breaks="another request under a known idempotency key gets the job of the first",
        file="shared/store/batches.py",
        text='if known["fingerprint"] != fingerprint:',
        instead='if not known["fingerprint"]:',
        tests=(_SUBMIT + "test_i7_another_request_under_the_same_key_is_refused",),
        servers=True,
    ),
    Defect(
        id="I8",
        breaks="a handler starts though its job was cancelled before",
        file="back_service/leases.py",
        text="        if self.cause is not None:\n            raise asyncio.CancelledError",
        instead="        if self._runs:\n            raise asyncio.CancelledError",
        tests=(_BACK + "test_runner.py::test_i8_a_job_that_was_told_before_it_began_never_begins",),
    ),
    Defect(
        id="I9",
        breaks="a job is cleaned up that was replayed a moment before",
        file=_SQL + "forget.sql",
        text=" AND expires_at < clock_timestamp()",
        instead="",
        tests=(_WISHES + "test_what_callers_wish_at_once[replay_and_forgetting]",),
        servers=True,
    ),
    Defect(
        id="I9b",
        breaks="a file is swept away under a submit that has just named it",
        file="shared/store/upkeep.py",
        text='held = await connection.fetch(statement("hold_blobs"),',
        instead='held = await connection.fetch("SELECT unnest($1::uuid[]) AS id",',
        tests=(_TROUBLE + "test_a_blob_is_not_swept_away_under_a_submit_that_needs_it",),
        servers=True,
    ),
    Defect(
        id="I12",
        breaks="looks pile up without end for a watcher that does not take them",
        file="front_service/push/hub.py",
        text="elif len(self._looks) < _MOST_LOOKS:",
        instead="elif len(self._looks) >= 0:",
        tests=(_HUB + "test_i12_looks_do_not_pile_up",),
    ),
    Defect(
        id="I14",
        breaks="a worker that cannot renew goes on past the end of its leases",
        file="back_service/leases.py",
        text="            if now > held.ends_at:\n                held.stop(Cause.LOST, now)\n"
        "            elif now > held.times_out_at:",
        instead="            if now > held.times_out_at:",
        tests=(_BACK + "test_leases.py::test_i14_self_stop",),
    ),
    Defect(
        id="I15",
        breaks="a leaving worker does not tell its handlers, and their jobs wait for a rescue",
        file="back_service/consumer.py",
        text="            self._leases.interrupt()\n",
        instead="",
        tests=(_BACK + "test_consumer.py::test_i15_drain_gives_back",),
    ),
    Defect(
        id="I15b",
        breaks="a leaving worker goes on to be given knocks that nobody answers",
        file="back_service/consumer.py",
        text="        await self._subscriber.pause()\n",
        instead="",
        tests=(_BACK + "test_consumer.py::test_i15_a_drain_waits_for_what_runs",),
    ),
    Defect(
        id="I17",
        breaks="a job that ended its workers takes its neighbours with it the next time",
        file=_SQL + "claim.sql",
        text="AND (j.crashes >= $5::int) = $6::boolean",
        instead="AND (j.crashes >= $5::int OR NOT $6::boolean)",
        tests=("tests/integration/test_suspects.py::test_who_must_not_crash_again_runs_alone",),
        servers=True,
    ),
    Defect(
        id="I18",
        breaks="a job that somebody holds costs its neighbours their leases",
        file="shared/store/work.py",
        text="            if len(held) == 1:\n                raise\n        alone",
        instead="            raise\n        alone",
        tests=(_TROUBLE + "test_a_job_that_somebody_holds_costs_no_other_its_lease",),
        servers=True,
    ),
)
