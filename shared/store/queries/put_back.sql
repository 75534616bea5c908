-- put_back: let any relay have these rows again at once.
UPDATE outbox SET due = clock_timestamp() WHERE id = ANY($1::bigint[]);
