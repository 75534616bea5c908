"""What happens inside a child process: it confines itself, does one thing, answers and is gone.

Runs in a fork of the nursery. It answers by frames on one socket; whatever the function prints
goes to a pipe of which the service keeps the end, for its log.
"""

import ctypes
import faulthandler
import os
import pickle
import resource
import signal
import socket
import struct
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from back_service.long_turns import take_long_turns
from shared.contract.authoring import Fail, Retry, Snooze
from shared.contract.ids import JobId, TenantId, TrackId

HEADER: Final = struct.Struct("!Q")
"""Each frame is its length and then a pickled tuple whose first member says what it is."""

_CHANNEL: Final = 3
_LONGEST_TRACE: Final = 16_000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child may take. Memory is what it maps beyond what the nursery had imported."""

    memory_bytes: int = 2**30
    answer_bytes: int = 16 * 2**20
    file_bytes: int = 4 * 2**30
    open_files: int = 256
    cpu_seconds: int = 4 * 3_600  # a net: the timeout of the job ends it long before
    niceness: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What a handler in a child is told of its job."""

    job_id: JobId
    tenant: TenantId
    track_id: TrackId
    type: str
    attempt: int
    max_attempts: int
    idempotency_key: str
    checkpoint: Any
    folder: Path


@dataclass(frozen=True, slots=True)
class Call:
    """Call *function* and answer what it returns."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handle:
    """Run a handler whose context tells the service of progress and checkpoints."""

    handler: Callable[..., Any]
    facts: JobFacts
    request: Any


@dataclass(frozen=True, slots=True)
class Become:
    """Turn into an outside program."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


def encode(*message: Any) -> bytes:
    """Make one frame. Raises what pickle raises for what cannot travel."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(body)) + body


OUT_OF_MEMORY: Final = encode(  # made beforehand: there may be no memory left to make it
    "fail", "out_of_memory", "the work needed more memory than it may have"
)


class Channel:
    """The child's end of the socket to the service."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, frame: bytes) -> None:
        self._end.sendall(frame)

    def receive(self) -> Any:
        """Wait for the next frame; end at once when the service is gone."""
        (length,) = HEADER.unpack(self._exactly(HEADER.size))
        return pickle.loads(self._exactly(length))  # noqa: S301  # our own service wrote it

    def _exactly(self, length: int) -> bytearray:
        received = bytearray()
        while len(received) < length:
            piece = self._end.recv(min(length - len(received), 1 << 20))
            if not piece:
                os._exit(0)
            received += piece
        return received


class ProcessContext:
    """The ``ChildContext`` of a handler: facts by value, words by frames."""

    def __init__(self, facts: JobFacts, channel: Channel) -> None:
        self.job_id, self.tenant, self.track_id = facts.job_id, facts.tenant, facts.track_id
        self.type, self.attempt = facts.type, facts.attempt
        self.max_attempts, self.idempotency_key = facts.max_attempts, facts.idempotency_key
        self.checkpoint, self.folder = facts.checkpoint, facts.folder
        self._channel = channel

    def progress(self, percent: float, message: str = "") -> None:
        self._channel.send(encode("progress", percent, message))

    def save_checkpoint(self, data: Any) -> None:
        self._channel.send(encode("checkpoint", data))
        self._channel.receive()  # the service says nothing else than that it is durable


def live(channel: int, words: int, limits: Limits, nursery: int) -> NoReturn:
    """Spend this process on one order from *channel*; what it prints goes to *words*."""
    code = 1
    try:
        _confine(limits, nursery)
        _arrange_files(channel, words)
        faulthandler.enable(file=2)
        end = Channel(socket.socket(fileno=_CHANNEL))
        end.send(_obey(end, limits))
        code = 0
    except BaseException:  # noqa: BLE001  # nothing may escape into the nursery's own code
        traceback.print_exc()
    finally:
        os._exit(code)


def _confine(limits: Limits, nursery: int) -> None:
    os.setpgid(0, 0)  # no session of its own: see the nursery
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != nursery:  # it died before the line above was heard
        os._exit(1)
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)
    os.nice(limits.niceness)
    take_long_turns()
    Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")  # rather this than us
    most = {
        resource.RLIMIT_AS: _mapped_bytes() + limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_CORE: 0,
    }
    for what, value in most.items():
        _, hard = resource.getrlimit(what)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (allowed, hard if what == resource.RLIMIT_CPU else allowed))


def _mapped_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _arrange_files(channel: int, words: int) -> None:
    """Keep /dev/null, *words* twice and *channel*; nothing else of the nursery stays open."""
    os.dup2(words, 1)
    os.dup2(words, 2)
    os.dup2(channel, _CHANNEL, inheritable=False)
    os.set_inheritable(_CHANNEL, False)  # also if it was the third already
    os.closerange(_CHANNEL + 1, 1 << 20)


def _obey(channel: Channel, limits: Limits) -> bytes:
    """Carry out the order and make the frame that answers it."""
    try:
        _, order = channel.receive()
        match order:
            case Call(function, args, kwargs):
                answer = function(*args, **kwargs)
            case Handle(handler, facts, request):
                _work_in(facts.folder)
                answer = handler(ProcessContext(facts, channel), request)
            case Become(argv, folder, environment):
                _become(argv, folder, environment)
        frame = encode("answer", answer)
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException as error:  # noqa: BLE001  # all that a function can raise is an answer
        return _encode_error(error)
    if len(frame) > limits.answer_bytes:
        return encode("fail", "result_too_large", f"over {limits.answer_bytes} bytes")
    return frame


def _work_in(folder: Path) -> None:
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def _become(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them; a program expects them
    os.chdir(folder)
    os.execvpe(argv[0], list(argv), {**os.environ, **environment})  # noqa: S606  # its purpose


def _encode_error(error: BaseException) -> bytes:
    match error:
        case Fail(code=code, message=message):
            return encode("fail", str(code), str(message))
        case Retry(message=message, after=after):
            return encode("retry", str(message), after)
        case Snooze(delay=delay):
            return encode("snooze", delay)
        case _:
            trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACE:]
            name = f"{type(error).__module__}.{type(error).__qualname__}"
            return encode("raised", _pickled(error), name, str(error)[:_LONGEST_TRACE], trace)


def _pickled(error: BaseException) -> bytes | None:
    """Pickle an ordinary exception if it survives that; an exit or a cancel never travels."""
    if not isinstance(error, Exception):
        return None
    try:
        body = pickle.dumps(error)
        pickle.loads(body)  # noqa: S301  # written one line above
    except Exception:  # noqa: BLE001  # a stranger's __reduce__ may raise anything
        return None
    return body if len(body) <= _LONGEST_TRACE else None
