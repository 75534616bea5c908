"""The handlers that come with the project. A handler sees ``uketsuke`` and job types only."""
