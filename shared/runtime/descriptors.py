"""How many files and sockets this process may have open."""

import resource
from typing import Final

_ENOUGH: Final = 65_536


def raise_descriptor_limit() -> int:
    """Raise the limit as far as the machine allows without asking anybody; answer what it is.

    Where nothing can be raised, the limit stays as it was: a service runs with few sockets as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # some systems have a limit below the one that they tell
        return soft
    return wanted
