-- batch_answer: what the caller of a batch of this tenant was told.
SELECT answer, created_at FROM batches WHERE tenant = $1::uuid AND id = $2::uuid;
