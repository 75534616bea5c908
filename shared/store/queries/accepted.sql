-- accepted: say which of these submissions are in the store: after a commit whose answer was lost.
SELECT id, created_at FROM jobs WHERE id = ANY($1::uuid[]);
