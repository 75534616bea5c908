"""``make test``: the whole suite, on real servers of its own that lie in ``.local/test``.

The servers are started once, before the workers, and handed down by environment:
``UKETSUKE_TEST_DATABASE_URL``, ``UKETSUKE_TEST_AMQP_URL`` and ``UKETSUKE_TEST_STACK``, the folder
for ``stack.attach``. Those named by the user in the first two are used instead. Three workers share
two processors, since most tests wait more than they compute. Tests marked ``timed`` run last and
alone. Without servers a desk runs the rest; CI fails.

``make faults``: only the tests marked ``faults``, which ``make test`` leaves out, alone; ``make
faults-quick``: of these the ones marked ``quick``; ``make campaign``: all, with three seeds and a
load that the figures of the promise need, and it fails unless it has shown each of them; ``make
soak``: two hours of random faults. All keep a line a drill in ``benchmarks/results/faults.jsonl``,
a campaign its sums in ``campaign.jsonl`` beside it.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from deploy.local import processes, record, terminal
from deploy.local.browser import ensure_browser
from deploy.local.processes import CannotStart
from deploy.local.promtool import ensure_promtool
from deploy.local.stack import Given, Stack, open_stack
from deploy.local.terminal import StopAsked, Stops

_FILES = ("--dist", "loadfile", "--no-loadscope-reorder")  # what a file starts, it starts once
_TOGETHER = ("-n", "3", *_FILES)
_RESULTS = record.ROOT / "benchmarks" / "results"
_DRILLS = {"UKETSUKE_TEST_RESULTS": str(_RESULTS / "faults.jsonl")}
_CAMPAIGN = {
    "UKETSUKE_TEST_SUMS": str(_RESULTS / "campaign.jsonl"),
    "UKETSUKE_TEST_GOALS": "yes",
    "UKETSUKE_TEST_SEEDS": "1,2,3",
    "UKETSUKE_TEST_BULK": "80",
    "UKETSUKE_TEST_FAULT_SECONDS": "6",
}
_SUMMED = ("-v", "-p", "tests.campaign.sums")
_TWO_AT_ONCE = ("-n", "2", "--dist", "worksteal")  # drills wait more than they work
_FAULTS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "--faults": (("-m", "faults and not soak"), _DRILLS),
    "--faults-quick": (("-m", "faults and quick"), _DRILLS),
    "--campaign": (("-m", "faults and not soak", *_TWO_AT_ONCE), {**_DRILLS, **_CAMPAIGN}),
    "--soak": (("-m", "soak"), _DRILLS),
}
"""How pytest is called, and what the drills are told, unless the user has said otherwise."""

_NO_TESTS = 5  # pytest's exit code when nothing was selected
_INTERRUPTED = 130


def main(words: Sequence[str]) -> int:
    """Run the suite, *words* being pytest's; answer the exit code."""
    Stops().listen()
    faults = _FAULTS.get(words[0]) if words else None
    run = _run_all if faults is None else partial(_run_faults, *faults)
    words = words if faults is None else words[1:]
    try:
        given = Given.by(os.environ, "UKETSUKE_TEST_")
        folder = record.local_folder() / "test"
        with open_stack(
            folder, fast_and_lossy=True, tcp=True, given=given, say=terminal.say
        ) as stack:
            return run(words, handed_down(stack))
    except StopAsked:
        return _INTERRUPTED
    except CannotStart as error:
        return _without_servers(words, error, is_of_use=faults is None)


def handed_down(stack: Stack) -> dict[str, str]:
    """Name the servers; by TCP, so that a test can put a proxy in front."""
    return {
        "UKETSUKE_TEST_DATABASE_URL": stack.database_tcp_url or stack.database_url,
        "UKETSUKE_TEST_AMQP_URL": stack.amqp_url,
        "UKETSUKE_TEST_STACK": str(stack.folder),
    }


def _run_all(words: Sequence[str], servers: Mapping[str, str]) -> int:
    ensure_browser(terminal.say, uid=os.geteuid())
    ensure_promtool(terminal.say)
    together = _pytest(servers, "-m", "not timed and not faults", *_TOGETHER, *words)
    alone = _pytest(servers, "-m", "timed and not faults", *words)
    return _sum_up(together, alone)


def _run_faults(
    call: Sequence[str],
    told: Mapping[str, str],
    words: Sequence[str],
    servers: Mapping[str, str],
) -> int:
    chosen = {name: os.environ.get(name, value) for name, value in told.items()}
    return _pytest({**servers, **chosen}, *_SUMMED, *call, *words)


def _sum_up(*codes: int) -> int:
    """Answer the first failure; that a part selected no test is none, unless all did."""
    told = [code for code in codes if code != _NO_TESTS]
    return next((code for code in told if code), 0) if told else _NO_TESTS


def _without_servers(words: Sequence[str], error: CannotStart, *, is_of_use: bool) -> int:
    terminal.say(f"The tests that need servers cannot run: {error}")
    if os.environ.get("CI") or not is_of_use:
        return 1
    code = _pytest({}, "-m", "not servers and not acceptance and not faults", *_TOGETHER, *words)
    terminal.say(f"Not run: tests marked servers, acceptance or faults. {error}")
    return code


def _pytest(servers: Mapping[str, str], *words: str) -> int:
    """Run pytest once; a wish to stop lets it tidy up."""
    child = processes.start(
        [sys.executable, "-m", "pytest", "-rs", *words],
        death=signal.SIGTERM,
        env={**os.environ, **servers},
        output=sys.stdout.fileno(),
        cwd=record.ROOT,
    )
    try:
        return child.wait()
    finally:
        processes.stop(child, gently=signal.SIGINT, patience=20.0, firmly=signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
