"""Ask the kernel for long and rare turns on the processor, for work that nobody waits for.

Since Linux 6.12 a thread of the usual policy may ask for the length of its turns; a longer one has
a later deadline, and so takes the processor from nobody who has just something short to do. Older
kernels pass over the wish. Source: sched_setattr(2); the kernel's documentation of EEVDF.
"""

import ctypes
import os
import struct
from typing import Final

_LONGEST: Final = 100_000_000  # nanoseconds; the kernel takes no more
_SET: Final = {"x86_64": 314, "aarch64": 274}  # the number of the system call, by machine
_GET: Final = {"x86_64": 315, "aarch64": 275}
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""Size, policy, flags, niceness, priority, runtime, deadline, period."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def take_long_turns() -> bool:
    """Ask for this thread, and all that it starts; say whether the kernel has heard it."""
    number = _SET.get(os.uname().machine)
    if number is None:
        return False
    niceness = os.nice(0)
    wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, niceness, 0, _LONGEST, 0, 0)
    return bool(_LIBC.syscall(number, 0, ctypes.c_char_p(wish), 0) == 0)


def turn() -> int | None:
    """Say how long the turns of this thread are, in nanoseconds; ``None`` if nobody knows."""
    number = _GET.get(os.uname().machine)
    told = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if number is None or _LIBC.syscall(number, 0, told, _ATTRIBUTES.size, 0) != 0:
        return None
    return int(_ATTRIBUTES.unpack(told.raw)[5]) or None
