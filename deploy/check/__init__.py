"""``make deploy-check``: tell whether what lies in ``deploy/`` is sound, as far as one can."""
