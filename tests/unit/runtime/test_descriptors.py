"""A front may have as many sockets as the machine allows it."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
from shared.runtime.descriptors import raise_descriptor_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "then"), [(64, 1_000, "1000 1000 1000"), (500, 500, "500 500 500")]
)
def test_the_limit_is_raised_as_far_as_is_allowed(soft: int, hard: int, then: str) -> None:
    """To the hard limit, which needs no right; and no farther."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(soft=soft, hard=hard)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == then.split()
