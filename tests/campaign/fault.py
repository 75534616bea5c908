"""What a drill does to whom, and what proves that it did."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.campaign.scene import Scene, Stage

Harm = Callable[[Scene, float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row: *harm* acts on a scene under load, for about as many seconds as it is given.

    *bites* names what must have been done at least so often, *marks* what it must have left in
    the history of the jobs; else the run proves nothing. *look* takes figures when all is at
    rest; *limits* are the most that a figure may be.
    """

    number: str
    name: str
    harm: Harm
    bites: Mapping[str, int]
    marks: Mapping[str, int] = field(default_factory=dict)
    look: Callable[[Scene], Awaitable[None]] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    stage: Stage = field(default_factory=Stage)
    is_quick: bool = False  # one of those that every change is held against
    is_long: bool = False  # its figures need one long run: other seeds than the first pass it over
    disk_megabytes: int | None = None  # of a database of its own, on a disk of its own
    recovers_within: float = 60.0  # seconds from the end of the load to rest

    def __str__(self) -> str:
        return f"{self.number}-{self.name}"
