"""``make demo``: hand the example documents in at the running desk and watch the work.

Nothing here that a user could not type: each document is one call of the command line.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import probes, record, terminal

DOCUMENTS = record.ROOT / "examples" / "demo"


def submission(document: Path) -> list[str]:
    """Write the call that hands in *document* and shows its progress to the end."""
    return ["submit", "documents.process", "--file", f"document={document}", "--watch"]


def main() -> int:
    """Hand in every document, one after the other; answer the exit code."""
    url = os.environ.get("UKETSUKE_URL") or record.read(record.local_folder()).get("url", "")
    place = urlsplit(url)
    if not (place.hostname and place.port and probes.says_ready(place.hostname, place.port)):
        terminal.say("Nothing runs here yet: start it with `make run` in another terminal.")
        return 1
    documents = sorted(DOCUMENTS.glob("*.pdf"))
    if not documents:
        terminal.say(f"There is no document in {DOCUMENTS.relative_to(record.ROOT)}.")
    return max((_hand_in(document, url) for document in documents), default=1)


def _hand_in(document: Path, url: str) -> int:
    words: Sequence[str] = submission(document.relative_to(record.ROOT))
    terminal.show(f"\n$ uketsuke {' '.join(words)}")
    return subprocess.run(
        [sys.executable, "-m", "uketsuke", *words],
        check=False,
        cwd=record.ROOT,
        env={**os.environ, "UKETSUKE_URL": url},
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
