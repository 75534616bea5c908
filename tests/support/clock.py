"""Time that passes when it is told to."""


class ManualClock:
    """A ``Clock`` that stands still."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> float:
        """Let *seconds* go by, and say what time it is."""
        self.now += seconds
        return self.now
