"""Defects of the schema and of the statements: what PostgreSQL decides."""

from typing import Final

from tests.sabotage.defect import Defect

_SQL: Final = "shared/store/queries/"
_SCHEMA: Final = "shared/store/migrations/0001_jobs.sql"
_WORK: Final = "tests/integration/test_work.py::"
_ORDER: Final = "tests/integration/test_lock_order.py::"
_RACES: Final = "tests/integration/test_races_complete.py::"
_UPKEEP: Final = "tests/integration/test_upkeep.py::"

STATEMENTS: Final = (
    Defect(
        id="S1",
        breaks="a verdict with an old token is written",
        file=_SQL + "finish.sql",
        text="JOIN verdicts v USING (id, token)",
        instead="JOIN verdicts v USING (id)",
        tests=(_WORK + "test_a_stale_token_changes_nothing",),
        servers=True,
    ),
    Defect(
        id="S1b",
        breaks="a worker that lost its lease renews the one of its successor",
        file=_SQL + "renew.sql",
        text="AS held (id, token) USING (id, token)",
        instead="AS held (id, token) USING (id)",
        tests=(_WORK + "test_a_stale_token_changes_nothing",),
        servers=True,
    ),
    Defect(
        id="S2",
        breaks="a job is taken from a worker that renewed its lease in time",
        file=_SQL + "rescue.sql",
        text="\n       AND lease_until < clock_timestamp()",
        instead="",
        tests=(_RACES + "test_a_lease_that_was_renewed_in_time_is_not_rescued",),
        servers=True,
    ),
    Defect(
        id="S3",
        breaks="an effect is noted once more by the next attempt",
        file=_SCHEMA,
        text=" DEFAULT clock_timestamp(),\n    PRIMARY KEY (job_id, name)",
        instead=" DEFAULT clock_timestamp()",
        tests=(_WORK + "test_i4_an_effect_is_noted_once_for_all_attempts",),
        servers=True,
    ),
    Defect(
        id="S4",
        breaks="a zombie passes the gate of effects",
        file=_SQL + "effect.sql",
        text="AND token = $2::bigint AND state = 'running'",
        instead="AND $2::bigint IS NOT NULL AND state = 'running'",
        tests=(_WORK + "test_a_stale_token_changes_nothing",),
        servers=True,
    ),
    Defect(
        id="S4b",
        breaks="an effect is let through after a cancel was accepted",
        file=_SQL + "effect.sql",
        text="AND state = 'running' FOR SHARE",
        instead="AND state IN ('running', 'cancelling') FOR SHARE",
        tests=(_WORK + "test_i4_a_cancel_closes_the_gate",),
        servers=True,
    ),
    Defect(
        id="S5",
        breaks="a raw update takes an ending back",
        file=_SCHEMA,
        text="BEFORE UPDATE OF state ON jobs",
        instead="BEFORE UPDATE OF tags ON jobs",
        tests=(_WORK + "test_i2_an_ending_is_final_even_for_a_raw_update",),
        servers=True,
    ),
    Defect(
        id="S5b",
        breaks="one run of a job has two endings",
        file=_SCHEMA,
        text="CREATE UNIQUE INDEX one_ending",
        instead="CREATE INDEX one_ending",
        tests=(_WORK + "test_i2_a_run_has_one_ending",),
        servers=True,
    ),
    Defect(
        id="S9",
        breaks="numbers of events have gaps, as those of a database sequence",
        file=_SQL + "finish.sql",
        text="SET state = e.goal, sequence = sequence + 1,",
        instead="SET state = e.goal, sequence = sequence + 2,",
        tests=("tests/properties/test_walks.py::test_the_store_is_sound_after_every_step",),
        servers=True,
    ),
    Defect(
        id="S10",
        breaks="an idempotency key is looked up before it is taken, not by taking it",
        file=_SQL + "remember.sql",
        text=" ORDER BY tenant, caller, key\n    ON CONFLICT DO NOTHING\n",
        instead=(
            " WHERE NOT EXISTS (SELECT FROM idempotency_keys AS known WHERE known.key = asked.key"
            "\n   AND known.tenant = asked.tenant AND known.caller = asked.caller)\n"
        ),
        tests=(_RACES + "test_i7_fifty_submits_by_one_name_are_one_job",),
        servers=True,
    ),
    Defect(
        id="S11",
        breaks="a cancel acts on a state that it saw before it held the row",
        file=_SQL + "cancel.sql",
        text="WHERE tenant = $1::uuid AND id = $2::uuid FOR UPDATE",
        instead="WHERE tenant = $1::uuid AND id = $2::uuid",
        tests=(
            "tests/integration/test_races_claim.py::test_i5_a_claim_meets_another_verb[claim_and_cancel]",
        ),
        servers=True,
    ),
    Defect(
        id="S15",
        breaks="a stranger reads a job whose id he knows",
        file=_SQL + "job.sql",
        text="WHERE tenant = $1::uuid AND id = $2::uuid",
        instead="WHERE $1::uuid IS NOT NULL AND id = $2::uuid",
        tests=(
            "tests/house/test_statements.py::test_i11_a_statement_names_the_tenant_or_says_why_not",
        ),
    ),
    Defect(
        id="S15b",
        breaks="a stranger cancels a job whose id he knows",
        file=_SQL + "cancel.sql",
        text="WHERE tenant = $1::uuid AND id = $2::uuid FOR UPDATE",
        instead="WHERE $1::uuid IS NOT NULL AND id = $2::uuid FOR UPDATE",
        tests=(_WORK + "test_another_tenants_job_cannot_be_cancelled",),
        servers=True,
    ),
    Defect(
        id="S22",
        breaks="a forged knock starts a job that is not the head of its key",
        file=_SQL + "claim.sql",
        text=(
            "$4::boolean AND j.id = (\n               SELECT h.head FROM key_heads h"
            " WHERE h.tenant = j.tenant AND h.key = j.key))"
        ),
        instead="$4::boolean)",
        tests=(_WORK + "test_i5_a_forged_knock_for_a_job_that_is_not_the_head_claims_nothing",),
        servers=True,
    ),
    Defect(
        id="S23b",
        breaks="a knock that the broker lost is not missed while its queue is empty",
        file=_SQL + "unheard.sql",
        text="WHERE $3::boolean AND state",
        instead="WHERE NOT $3::boolean AND state",
        tests=(_UPKEEP + "test_an_old_knock_is_repeated_only_when_the_queue_is_empty",),
        servers=True,
    ),
    Defect(
        id="S24",
        breaks="renewals take their rows in another order than verdicts",
        file=_SQL + "renew.sql",
        text="ORDER BY id  --",
        instead="ORDER BY id DESC  --",
        tests=(_ORDER + "test_s24_a_worker_takes_its_jobs_by_id[renews]",),
        servers=True,
    ),
    Defect(
        id="S24d",
        breaks="verdicts take their rows in another order than renewals",
        file=_SQL + "finish.sql",
        text="ORDER BY id\n       FOR UPDATE\n), done",
        instead="ORDER BY id DESC\n       FOR UPDATE\n), done",
        tests=(_ORDER + "test_s24_a_worker_takes_its_jobs_by_id[finishes]",),
        servers=True,
    ),
    Defect(
        id="S24b",
        breaks="submits take their keys in whatever order they came",
        file=_SQL + "places.sql",
        text=" ORDER BY tenant, key\n",
        instead=" ORDER BY min(n)\n",
        tests=(_ORDER + "test_s24_submits_take_their_ordering_keys_by_name",),
        servers=True,
    ),
    Defect(
        id="S24c",
        breaks="submits take their idempotency keys in whatever order they came",
        file=_SQL + "remember.sql",
        text=" ORDER BY tenant, caller, key\n",
        instead="",
        tests=(_ORDER + "test_s24_submits_take_their_idempotency_keys_by_name",),
        servers=True,
    ),
)
