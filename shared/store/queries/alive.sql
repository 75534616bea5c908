-- alive: list what the workers that were seen lately can run.
SELECT pools, types, lacking FROM workers WHERE seen_at > clock_timestamp() - $1::interval;
