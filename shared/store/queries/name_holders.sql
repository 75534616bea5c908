-- name_holders: of the jobs whose unique keys are held by us, say which are entitled to them still.
SELECT j.id, j.created_at,
       CASE WHEN named.until IS NULL THEN j.completed_at IS NULL
            ELSE named.until > clock_timestamp() END AS holds
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS named (tenant, job_id, until)
  JOIN jobs j ON j.id = named.job_id AND j.tenant = named.tenant;
