-- newest_tenants: say whose the jobs are that came last: who may be waiting behind somebody's crowd.
SELECT DISTINCT tenant FROM (SELECT j.tenant FROM jobs j ORDER BY j.id DESC LIMIT $1::int) AS newest;
