-- blob: read what is known of one file of a tenant.
SELECT id, name, content_type, size_bytes, sha256 FROM blobs WHERE tenant = $1::uuid AND id = $2::uuid;
