"""The claim check: large payloads kept beside the rows, and passed on by reference."""
