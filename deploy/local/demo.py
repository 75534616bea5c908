"""``make demo``: hand the example documents in at the running desk and watch the work.

Nothing here that a user could not type: each document is two calls of the command line.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.local import probes, record, terminal

DOCUMENTS = record.ROOT / "examples" / "demo"
_PYTHON = ".venv/bin/python"
_KINDS = frozenset({".pdf", ".txt"})
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def submission(document: Path) -> list[str]:
    """Write the call that hands in *document* and shows its progress to the end."""
    return ["submit", "documents.process", "--file", f"document={document}", "--watch"]


def documents() -> list[Path]:
    """Find what is to be handed in."""
    return sorted(path for path in DOCUMENTS.iterdir() if path.suffix in _KINDS)


def main() -> int:
    """Hand in every document, one after the other; answer the exit code."""
    url = os.environ.get("UKETSUKE_URL") or record.read(record.local_folder()).get("url", "")
    place = urlsplit(url)
    if not (place.hostname and place.port and probes.says_ready(place.hostname, place.port)):
        terminal.say("Nothing runs here yet: start it with `make run` in another terminal.")
        return 1
    return max((_hand_in(document, url) for document in documents()), default=1)


def _hand_in(document: Path, url: str) -> int:
    """Show how *document* gets on, then what matters of the result: all of it is a long page."""
    words = submission(document.relative_to(record.ROOT))
    terminal.show(f"\n$ uketsuke {' '.join(words)}")
    code, said = _call(words, url)
    job_id = _JOB_ID.search(said)
    if code or job_id is None:
        terminal.show(said)
        return code or 1
    code, said = _call(["result", job_id[0], "--json"], url)
    terminal.show(said if code else digest(json.loads(said), url))
    return code


def digest(answer: Mapping[str, Any], url: str) -> str:
    """Write the summary, the links, and how to have the rest."""
    result = f"{_PYTHON} -m uketsuke result {answer['jobId']} --url {url}"
    lines = ["", *(" ".join(one.split()) for one in answer["results"]["summary"]), ""]
    lines += [f"{file['member']}  {file['url']}" for file in answer["files"]]
    lines += ["", f"all of the result:  {result}", f"the report files:   {result} --save reports"]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _call(words: Sequence[str], url: str) -> tuple[int, str]:
    """Run the command line; its bars go to the terminal, what it answers comes back."""
    done = subprocess.run(
        [sys.executable, "-m", "uketsuke", *words],
        check=False,
        cwd=record.ROOT,
        env={**os.environ, "UKETSUKE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
