"""``make sabotage``: take away one guard after another, each in a copy of its own.

Every defect must turn tests red that are named with it, and green without it. One that no test
notices fails the run, as does one that fits the code no longer. ``--record`` writes a line of
the results; names of defects, as ``S7``, choose some.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deploy.local import record, terminal
from deploy.local.processes import CannotStart
from deploy.local.stack import Given, open_stack
from deploy.local.suite import handed_down
from deploy.local.terminal import StopAsked, Stops
from tests.sabotage.catalogue import DEFECTS
from tests.sabotage.defect import Defect
from tests.sabotage.trials import Bench, Trial, open_bench

_AT_ONCE: Final = 2
_INTERRUPTED: Final = 130
_RESULTS: Final = record.ROOT / "benchmarks" / "results" / "sabotage.jsonl"


def main() -> int:
    """Try all defects, or those that were named; answer the exit code."""
    options = _options()
    chosen = [defect for defect in DEFECTS if not options.ids or defect.id in options.ids]
    Stops().listen()
    folder = record.local_folder() / "sabotage"
    try:
        with _servers(folder, chosen) as servers, open_bench(folder / "logs", servers) as bench:
            return _run(bench, chosen, is_recorded=options.record)
    except StopAsked:
        return _INTERRUPTED
    except CannotStart as error:
        terminal.say(f"The tests that need servers cannot run: {error}")
        return 1


@contextmanager
def _servers(folder: Path, defects: Iterable[Defect]) -> Iterator[Mapping[str, str]]:
    """Start one stack for all, if any of *defects* needs it, and name it as tests know it."""
    if not any(defect.servers for defect in defects):
        yield {}
        return
    given = Given.by(os.environ, "UKETSUKE_TEST_")
    with open_stack(folder, fast_and_lossy=True, tcp=True, given=given, say=terminal.say) as stack:
        yield handed_down(stack)


def _run(bench: Bench, defects: Sequence[Defect], *, is_recorded: bool) -> int:
    begun = time.monotonic()
    tests = sorted({test for defect in defects for test in defect.tests})
    terminal.say(f"{len(tests)} tests on the unharmed code …")
    if not bench.are_green(tests):
        terminal.say(f"they must be green first: see {bench.log_of('unharmed')}")
        return 1
    trials = _try_all(bench, defects)
    seconds = time.monotonic() - begun
    for line in _table(trials):
        terminal.show(line)
    caught = sum(trial.is_caught for trial in trials)
    terminal.say(f"{seconds:.0f} s; {caught} of {len(trials)} caught")
    if is_recorded:
        _write_down(trials, seconds)
    return 0 if caught == len(trials) else 1


def _try_all(bench: Bench, defects: Sequence[Defect]) -> list[Trial]:
    """Try *defects* two at a time; answer in their order."""
    found: dict[str, Trial] = {}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for done in as_completed([threads.submit(bench.try_out, one) for one in defects]):
                trial = done.result()
                found[trial.defect.id] = trial
                outcome = "caught" if trial.is_caught else "MISSED"
                terminal.say(f"{len(found)}/{len(defects)} {trial.defect.id} {outcome}")
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return [found[defect.id] for defect in defects]


def _table(trials: Iterable[Trial]) -> Iterable[str]:
    for trial in trials:
        outcome = "caught" if trial.is_caught else "MISSED"
        yield f"{trial.defect.id:<5} {outcome} {trial.seconds:5.1f} s  {trial.defect.breaks}"
        if not trial.is_caught:
            yield f"      {trial.missed}"


def _write_down(trials: Sequence[Trial], seconds: float) -> None:
    missed = [trial.defect.id for trial in trials if not trial.is_caught]
    told = {
        **_origin(),
        "defects": len(trials),
        "caught": len(trials) - len(missed),
        "missed": missed,
        "seconds": round(seconds, 1),
    }
    _RESULTS.parent.mkdir(exist_ok=True)
    with _RESULTS.open("a", encoding="utf-8") as results:
        results.write(json.dumps(told) + "\n")


def _origin() -> dict[str, Any]:
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=record.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git.stdout.strip() or "unknown",
        "cores": len(os.sched_getaffinity(0)),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", metavar="S7", help="some defects instead of all")
    parser.add_argument("--record", action="store_true", help=f"add a line to {_RESULTS.name}")
    options = parser.parse_args()
    if unknown := set(options.ids) - {defect.id for defect in DEFECTS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
