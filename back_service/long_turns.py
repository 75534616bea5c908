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
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}  # the number of the system call
ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""Size, policy, flags, niceness, priority, runtime, deadline, period."""

_LIBC: Final = ctypes.CDLL(None)


def take_long_turns() -> None:
    """Ask for this thread, and all that it starts; whoever knows no such turns gives none."""
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is not None:
        wish = ATTRIBUTES.pack(ATTRIBUTES.size, 0, 0, os.nice(0), 0, _LONGEST, 0, 0)
        _LIBC.syscall(number, 0, ctypes.c_char_p(wish), 0)
