-- any_key: say whether an API key was ever made; one that has ended counts.
SELECT EXISTS (SELECT FROM api_keys);
