"""What a running process needs whatever it does: settings, logs, clock, group commit, stopping."""
