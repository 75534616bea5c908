-- outbox_late: say whether a route has rows that should have been published a while ago.
SELECT EXISTS (
    SELECT FROM outbox WHERE due < statement_timestamp() - interval '1 second' AND route = $1::text);
