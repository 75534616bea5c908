-- begin_turns: give tenants without a mark one that owes nothing, at their first submit or after a crash.
INSERT INTO rate_marks (tenant, paid_until, granted)
SELECT tenant, 'epoch', 0 FROM unnest($1::uuid[]) AS asked (tenant)
 ORDER BY tenant
    ON CONFLICT DO NOTHING;
