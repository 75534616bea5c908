-- outbox_depth: count what is still to be published, up to a bound.
SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted;
