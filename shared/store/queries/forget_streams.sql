-- forget_streams: drop what replicas said that are gone.
DELETE FROM open_streams WHERE at < statement_timestamp() - interval '1 minute';
