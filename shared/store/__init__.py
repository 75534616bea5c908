"""The only SQL of the project: what PostgreSQL is asked, and how its answers become values."""
