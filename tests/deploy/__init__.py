"""The local stack: how it starts, survives, and refuses."""
