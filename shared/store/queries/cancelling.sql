-- cancelling: say which of the jobs a worker runs are to be stopped.
SELECT id FROM jobs WHERE id = ANY($1::uuid[]) AND state = 'cancelling';
