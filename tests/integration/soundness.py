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
    "I1: a job that may run is not knocked for": """
        SELECT j.id, j.key FROM jobs j
          LEFT JOIN key_heads h ON (h.tenant, h.key) = (j.tenant, j.key)
         WHERE j.state = 'queued' AND (j.key IS NULL OR h.head = j.id)
           AND NOT EXISTS (SELECT FROM outbox o WHERE j.id = ANY(o.job_ids))""",
}


async def unsound(bench: Bench) -> dict[str, object]:
    """Name every rule that is broken, with what breaks it. Knocks must not have been dropped."""
    found = {rule: await bench.sql(query) for rule, query in _EXCEPTIONS.items()}
    return {rule: [tuple(row) for row in rows] for rule, rows in found.items() if rows}
