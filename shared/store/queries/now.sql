-- now: tell the time by which the store judges.
SELECT clock_timestamp();
