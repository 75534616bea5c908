-- unknown_blobs: of some stored files, find those that no row speaks of; each is looked up by id.
SELECT files.id FROM unnest($1::uuid[]) AS files (id)
 WHERE (SELECT b.id FROM blobs b WHERE b.id = files.id) IS NULL;
