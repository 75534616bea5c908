"""Defects of the code around the store: transactions, order of acts, custody of knocks."""

from typing import Final

from tests.sabotage.defect import Defect

_BACK: Final = "tests/unit/back/"
_TROUBLES: Final = "tests/broker/test_troubles.py::"

SERVICES: Final = (
    Defect(
        id="S6",
        breaks="a submit is not one commit: a crash in its midst keeps half of it",
        file="shared/store/intake.py",
        text="async with self._pool.transaction() as connection:\n"
        "                    return await decide(connection, batch, self._head_start)",
        instead="async with self._pool.connection() as connection:\n"
        "                    return await decide(connection, batch, self._head_start)",
        tests=("tests/integration/test_submit.py::test_i7_refused_keeps_nothing",),
        servers=True,
    ),
    Defect(
        id="S7",
        breaks="a row leaves the outbox before the broker has its knock",
        file="shared/outbox.py",
        text="            await publish(self._publisher, [row], relay=False)\n"
        "            parcel.is_confirmed = True\n"
        "            self._outbox.sent(row.id)\n",
        instead="            self._outbox.sent(row.id)\n"
        "            await publish(self._publisher, [row], relay=False)\n"
        "            parcel.is_confirmed = True\n",
        tests=("tests/integration/test_knocking.py::test_i1_unroutable_keeps_row",),
        servers=True,
    ),
    Defect(
        id="S8",
        breaks="a knock that no queue takes passes for confirmed",
        file="shared/broker/publisher.py",
        text="mandatory=True",
        instead="mandatory=False",
        tests=(
            "tests/broker/test_publisher.py::test_a_knock_that_no_queue_takes_is_not_confirmed",
        ),
        servers=True,
    ),
    Defect(
        id="S14",
        breaks="a lease counts from the answer, so that it outlasts the store's",
        file="back_service/leases.py",
        text="held.ends_at = asked_at + self._ttl",
        instead="held.ends_at = self._clock.monotonic() + self._ttl",
        tests=(_BACK + "test_leases.py::test_i14_a_lease_counts_from_before_the_question",),
    ),
    Defect(
        id="S19",
        breaks="a process whose loop has stalled goes on as if alive",
        file="shared/runtime/watchdog.py",
        text="if self.look(time.monotonic()) >= self._limit:",
        instead="if self.look(time.monotonic()) >= self._limit * 1_000:",
        tests=("tests/unit/runtime/test_watchdog.py::test_too_long_a_stall_ends_the_process",),
    ),
    Defect(
        id="S20",
        breaks="a drain spends an attempt of every job that it gives back",
        file="back_service/verdict.py",
        text="Verdict(move=Move.INTERRUPT, given_back=1)",
        instead="Verdict(move=Move.INTERRUPT)",
        tests=(_BACK + "test_verdict.py::test_each_outcome_has_its_verdict",),
    ),
    Defect(
        id="S21",
        breaks="a key is looked at in the statement that waited for its lock",
        file="shared/store/work.py",
        text="await _settle(connection, rulings, in_order=True)",
        instead="await _settle(connection, rulings, in_order=False)",
        tests=(
            "tests/integration/test_races_submit.py::test_i5_a_submit_meets_another_verb[submit_and_finish]",
        ),
        servers=True,
    ),
    Defect(
        id="S23",
        breaks="nobody knocks again for what the broker lost",
        file="back_service/upkeep/rescuer.py",
        text="is_empty=ready == 0",
        instead="is_empty=False",
        tests=(_BACK + "test_upkeep.py::test_unheard_jobs_are_knocked_for_again",),
    ),
    Defect(
        id="S25",
        breaks="a knock is acknowledged before the claim of its jobs is committed",
        file="back_service/consumer.py",
        text="            jobs, asked_at = await self._claim(picked)\n",
        instead="            await ack_all(picked.done)\n"
        "            jobs, asked_at = await self._claim(picked)\n",
        tests=(
            _BACK + "test_consumer.py::test_a_knock_is_answered_by_a_claim_and_then_acknowledged",
        ),
    ),
    Defect(
        id="S25b",
        breaks="a knock is acknowledged before the rest of it is knocked for again",
        file="back_service/consumer.py",
        text="        keyed = any(knock.keyed for knock in late)\n",
        instead="        keyed = any(knock.keyed for knock in late)\n"
        "        await ack_all(knock.delivery for knock in late)\n",
        tests=(_BACK + "test_consumer.py::test_what_could_not_be_offered_stays_in_hand",),
    ),
    Defect(
        id="S26",
        breaks="a handler runs where knocks are taken, and holds them all up",
        file="back_service/consumer.py",
        text="self._start(job, asked_at)\n",
        instead="await self._follow(job, asked_at)\n",
        tests=(_BACK + "test_consumer.py::test_no_more_is_claimed_than_there_is_room_for",),
    ),
    Defect(
        id="S27",
        breaks="a wait that the library ends passes for a cancel, and kills its task",
        file="shared/broker/troubles.py",
        text="            if not is_ours:\n                raise self._become(",
        instead="            if self._task is None:\n                raise self._become(",
        tests=(_TROUBLES + "test_a_wait_that_the_library_cancels_is_trouble_and_no_cancel",),
    ),
    Defect(
        id="S28",
        breaks="after an outage leases are judged before anybody could renew",
        file="back_service/upkeep/rescuer.py",
        text="        except Unavailable:\n"
        "            self._not_before = self._clock.monotonic() + self._lease\n",
        instead="        except Unavailable:\n",
        tests=(_BACK + "test_upkeep.py::test_leases_are_not_judged_right_after_an_outage",),
    ),
    Defect(
        id="S29",
        breaks="upkeep moves keyed jobs without holding their keys",
        file="shared/store/upkeep.py",
        text='        await connection.execute(statement("lock"), ids)\n'
        "        rows = await move(connection, ids)\n",
        instead="        rows = await move(connection, ids)\n",
        tests=("tests/integration/test_races_finish.py::test_i2_a_verdict_meets_another_verb",),
        servers=True,
    ),
    Defect(
        id="S30",
        breaks="one bad submission refuses all that came with it",
        file="shared/store/intake.py",
        text="            if len(lot) == 1:\n                return [error]\n",
        instead="            return [error] * len(lot)\n",
        tests=("tests/integration/test_submit.py::test_i18_a_poisoned_row_spoils_only_itself",),
        servers=True,
    ),
    Defect(
        id="S30b",
        breaks="one bad verdict refuses all that came with it",
        file="back_service/finishing.py",
        text="            if len(rulings) == 1:\n                raise\n        alone",
        instead="            raise\n        alone",
        tests=(_BACK + "test_finishing.py::test_i18_a_poisoned_verdict_spoils_only_itself",),
    ),
)
