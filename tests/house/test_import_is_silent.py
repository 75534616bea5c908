"""Nothing happens at import: no connection, no file, no look at the environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT, TOPS


def what_importing_does(*tops: str, tree: Path = ROOT) -> list[str]:
    """Import all modules below *tops* in a fresh process, and answer what that did."""
    audit = tree / "tests" / "house" / "audit.py"
    done = subprocess.run(
        [sys.executable, str(audit), *tops],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    deeds: list[str] = json.loads(done.stdout)
    return deeds


def test_importing_any_module_does_nothing() -> None:
    """A test, a tool or a second service may import whatever it likes: it only gets names."""
    assert what_importing_does(*TOPS) == []


@pytest.mark.parametrize(
    "deed",
    [
        "import os\nHOME = os.environ.get('HOME')",
        "import os\nHOME = os.getenv('HOME')",
        "import socket\nsocket.create_server(('127.0.0.1', 0)).close()",
        "from pathlib import Path\nPath(__file__).with_suffix('.txt').write_text('x')",
        "import subprocess\nsubprocess.run(['true'], check=True)",
        "import threading\nthreading.Timer(60, print).start()\nimport sys\nsys.stdout.flush()",
    ],
    ids=["environ", "getenv", "listens", "writes", "starts", "threads"],
)
def test_a_module_that_does_something_is_seen(tmp_path: Path, deed: str) -> None:
    """A rule that cannot be broken guards nothing."""
    (tmp_path / "tests" / "house").mkdir(parents=True)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").touch()
    (tmp_path / "shared" / "loud.py").write_text(deed, encoding="utf-8")
    own = ROOT / "tests" / "house" / "audit.py"
    (tmp_path / "tests" / "house" / "audit.py").write_text(own.read_text(encoding="utf-8"))

    assert what_importing_does("shared", tree=tmp_path) != []
