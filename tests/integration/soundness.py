"""What must be true of the store between any two commits, as queries that answer the exceptions."""

from collections.abc import Mapping
from typing import Final

from tests.integration.bench import Bench

_EXCEPTIONS: Final[Mapping[str, str]] = {
    "I2: a run of a job has two endings, or an ended job has none": """
        SELECT j.id, j.state FROM jobs j
          LEFT JOIN job_events e
            ON e.job_id = j.id AND e.replays = j.replays
           AND e.kind IN ('completed', 'failed', 'cancelled', 'expired')
         GROUP BY j.id
        HAVING count(e.kind) <> (j.completed_at IS NOT NULL)::int""",
    "I5: two jobs of one key run at once": """
        SELECT tenant, key FROM jobs WHERE state IN ('running', 'cancelling') AND key IS NOT NULL
         GROUP BY tenant, key HAVING count(*) > 1""",
    "I5: the head is not the first live job of its key": """
        SELECT h.key, h.head, first.id
          FROM key_heads h
          LEFT JOIN LATERAL (
               SELECT j.id FROM jobs j
                WHERE (j.tenant, j.key) = (h.tenant, h.key)
                  AND (j.completed_at IS NULL
                       OR j.id = h.head AND j.blocks AND j.state = 'failed')
                ORDER BY j.seq LIMIT 1) first ON true
         WHERE h.head IS DISTINCT FROM first.id""",
    "I12: a key is kept that no job bears": """
        SELECT h.key FROM key_heads h
         WHERE NOT EXISTS (SELECT FROM jobs j WHERE (j.tenant, j.key) = (h.tenant, h.key))""",
    "I5: a job that is not the head runs": """
        SELECT j.id FROM jobs j JOIN key_heads h ON (h.tenant, h.key) = (j.tenant, j.key)
         WHERE j.state IN ('running', 'cancelling') AND h.head <> j.id""",
    "I6: the events of a job have a gap, or do not end with its state": """
        SELECT j.id, j.sequence, j.state, array_agg(e.kind ORDER BY e.sequence)
          FROM jobs j JOIN job_events e ON e.job_id = j.id
         GROUP BY j.id
        HAVING count(*) <> j.sequence OR min(e.sequence) <> 1 OR max(e.sequence) <> j.sequence
            OR (array_agg(e.kind ORDER BY e.sequence DESC))[1] NOT IN (j.state, 'accepted')""",
    "I2: a run that a replay has followed has no ending, or two": """
        SELECT j.id, run FROM jobs j, generate_series(0, j.replays - 1) AS run
         WHERE (SELECT count(*) FROM job_events e
                 WHERE e.job_id = j.id AND e.replays = run
                   AND e.kind IN ('completed', 'failed', 'cancelled', 'expired')) <> 1""",
    "I2: an event follows the ending of its run, or the runs are mixed": """
        SELECT job_id, sequence FROM (
               SELECT *, lag(replays) OVER story AS run, lag(kind) OVER story AS before
                 FROM job_events WINDOW story AS (PARTITION BY job_id ORDER BY sequence)) e
         WHERE replays < run
            OR before IN ('completed', 'failed', 'cancelled', 'expired') AND replays <> run + 1""",
    "I4: a token does not grow": """
        SELECT e.job_id, e.sequence FROM (
               SELECT *, lag(token) OVER (PARTITION BY job_id ORDER BY sequence) AS before
                 FROM job_events) e JOIN jobs j ON j.id = e.job_id
         WHERE e.token < e.before OR e.token > j.token
            OR e.kind IN ('running', 'expired') AND e.token = e.before""",
    "I4: an effect is of no attempt, or came after its attempt had lost the right to it": """
        SELECT f.job_id, f.name FROM effects f
         WHERE NOT EXISTS (SELECT FROM job_events e WHERE e.job_id = f.job_id
                              AND e.token = f.token AND e.kind = 'running')
            OR EXISTS (SELECT FROM job_events e WHERE e.job_id = f.job_id
                          AND e.at < f.at AND e.token >= f.token AND e.kind <> 'running')""",
    "I9: something is left of a job that is gone, or nothing says that it was": """
        SELECT job_id FROM (SELECT job_id FROM job_events UNION SELECT job_id FROM effects
                      UNION SELECT job_id FROM blob_uses) AS parts
         WHERE NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
         UNION SELECT id FROM jobs JOIN tombstones ON job_id = id""",
    "a batch without a live job is not over, or one with a job that never ended is": """
        SELECT b.id FROM batches b
         WHERE (b.completed_at IS NULL) <> EXISTS (
               SELECT FROM batch_jobs m JOIN jobs j ON j.id = m.job_id
                WHERE m.batch = b.id AND j.completed_at IS NULL AND j.replays = 0)
           AND NOT EXISTS (SELECT FROM batch_jobs m JOIN jobs j ON j.id = m.job_id
                            WHERE m.batch = b.id AND j.replays > 0)""",
    "a batch that is over does not count each of its jobs once": """
        SELECT b.id FROM batches b
         WHERE b.completed + b.failed + b.cancelled + b.expired <> (
               SELECT count(*) FROM batch_jobs m WHERE m.batch = b.id)""",
    "a job and its batch do not know each other": """
        SELECT j.id FROM jobs j FULL JOIN batch_jobs m ON m.job_id = j.id
         WHERE j.batch IS DISTINCT FROM m.batch AND j.id IS NOT NULL""",
    "two live jobs are entitled to one unique key": """
        SELECT j.id, j.unique_key FROM jobs j
          LEFT JOIN unique_keys u ON (u.tenant, u.type, u.key) = (j.tenant, j.type, j.unique_key)
         WHERE j.completed_at IS NULL AND u.job_id IS DISTINCT FROM j.id
           AND j.unique_key IS NOT NULL AND j.state <> 'cancelling'""",
    "I9: a unique key or an idempotency key names a job that never was, or is gone": """
        SELECT u.job_id FROM unique_keys u WHERE NOT EXISTS (SELECT FROM jobs WHERE id = u.job_id)
         UNION SELECT k.job_id FROM idempotency_keys k
         WHERE NOT EXISTS (SELECT FROM jobs WHERE id = k.job_id)
           AND NOT EXISTS (SELECT FROM tombstones t WHERE t.job_id = k.job_id)
           AND NOT EXISTS (SELECT FROM batches b WHERE b.id = k.job_id)""",
    "I5: a job has a place that its key has not given out": """
        SELECT j.id FROM jobs j LEFT JOIN key_heads h ON (h.tenant, h.key) = (j.tenant, j.key)
         WHERE j.key IS NOT NULL AND (h.tail IS NULL OR j.seq > h.tail)""",
    "I1: a job that may run is not knocked for": """
        SELECT j.id, j.key FROM jobs j
          LEFT JOIN key_heads h ON (h.tenant, h.key) = (j.tenant, j.key)
         WHERE j.state = 'queued' AND (j.key IS NULL OR h.head = j.id)
           AND NOT EXISTS (SELECT FROM outbox o WHERE j.id = ANY(o.job_ids))""",
}

_QUESTION: Final = " UNION ALL ".join(
    f"SELECT $rule${rule}$rule$ AS rule, to_json(x)::text AS what FROM ({query}) AS x"  # noqa: S608  ours
    for rule, query in _EXCEPTIONS.items()
)
"""All of them at once: one trip."""


async def unsound(bench: Bench) -> dict[str, list[str]]:
    """Name every rule that is broken, with what breaks it. Knocks must not have been dropped."""
    found: dict[str, list[str]] = {}
    for row in await bench.sql(_QUESTION):
        found.setdefault(row["rule"], []).append(row["what"])
    return found
