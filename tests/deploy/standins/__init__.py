"""Small programs in the place of the services, for tests of what starts and stops them."""

import sys


def tell(line: str) -> None:
    """Print *line* at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
