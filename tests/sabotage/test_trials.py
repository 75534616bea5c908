"""The trial itself: what is caught, what is missed, and what proves nothing."""

from pathlib import Path

import pytest

from tests.sabotage.defect import Defect
from tests.sabotage.trials import Bench

GUARD = "def allows(token: int) -> bool:\n    return token == 7\n"
TESTS = """
from guard import allows

def test_a_stale_token_is_refused():
    assert not allows(6)

def test_a_token_is_a_number():
    assert allows(7) in (True, False)
"""
LIGHT = {  # what trials ask of pytest and nothing else: the rest takes a second to import
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "xdist.plugin,pytest_timeout,_hypothesis_pytestplugin",
}
STALE = "test_guard.py::test_a_stale_token_is_refused"
NUMBER = "test_guard.py::test_a_token_is_a_number"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A project of two files."""
    pattern, logs = tmp_path / "tree", tmp_path / "logs"
    pattern.mkdir()
    logs.mkdir()
    (pattern / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (pattern / "guard.py").write_text(GUARD)
    (pattern / "test_guard.py").write_text(TESTS)
    return Bench(pattern, logs, LIGHT)


def a_defect(instead: str, *tests: str, text: str = "token == 7") -> Defect:
    return Defect(id="S0", breaks="", file="guard.py", text=text, instead=instead, tests=tests)


def test_a_defect_that_its_test_notices_is_caught(bench: Bench, tmp_path: Path) -> None:
    """And the code that it was copied from is as it was."""
    trial = bench.try_out(a_defect("token >= 0", STALE))

    assert trial.is_caught
    assert (tmp_path / "tree" / "guard.py").read_text() == GUARD


def test_a_defect_that_no_test_notices_is_missed(bench: Bench) -> None:
    """This is what the command is there to find."""
    assert bench.try_out(a_defect("token >= 0", NUMBER)).missed == "no test failed"


def test_each_named_test_must_notice(bench: Bench) -> None:
    """One that stays green guards nothing here, whatever its neighbour does."""
    missed = bench.try_out(a_defect("token >= 0", STALE, NUMBER)).missed

    assert NUMBER in missed
    assert STALE not in missed


def test_a_module_that_cannot_be_imported_proves_nothing(bench: Bench) -> None:
    """Everything is red then."""
    assert not bench.try_out(a_defect("token ==", STALE)).is_caught


def test_a_defect_that_fits_no_longer_is_missed(bench: Bench) -> None:
    """The code has changed: somebody must look."""
    assert "occurs 0 times" in bench.try_out(a_defect("", STALE, text="token is 7")).missed


def test_tests_must_be_green_on_the_unharmed_code(bench: Bench, tmp_path: Path) -> None:
    """A test that is always red catches everything."""
    (tmp_path / "tree" / "guard.py").write_text(GUARD.replace("token == 7", "True"))

    assert not bench.are_green([STALE, NUMBER])
