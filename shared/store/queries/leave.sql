-- leave: say that this worker lives no more.
DELETE FROM workers WHERE id = $1::uuid;
