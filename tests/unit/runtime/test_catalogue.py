"""Job types and handlers, as the modules that the settings name have them."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from shared.contract.job_types import JobType
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES, load_handlers, load_job_types
from uketsuke import Context, handles

Modules = Callable[..., str]


class Request(BaseModel):
    text: str = ""


def a_type(name: str = "letters.print") -> JobType:
    return JobType(name=name, request=Request)


def a_handler(job_type: JobType) -> Any:
    @handles(job_type)
    async def work(_: Context, __: Request) -> None: ...

    return work


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Modules:
    """Make modules that can be imported while the test runs."""

    def make(name: str, **members: object) -> str:
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
        return name

    return make


def test_the_built_in_types_can_be_read() -> None:
    """What a first try asks for."""
    catalogue = load_job_types(BUILT_IN_JOB_TYPES)

    assert {"demo.echo", "demo.sleep", "documents.process"} <= set(catalogue)


def test_types_of_all_modules_are_found(modules: Modules) -> None:
    """Also one that several modules import."""
    one, other = a_type(), a_type("films.cut")
    names = [modules("types_a", A=one), modules("types_b", A=one, B=other)]

    assert dict(load_job_types(names)) == {"letters.print": one, "films.cut": other}


def test_two_types_of_one_name_are_refused(modules: Modules) -> None:
    """It would hang on chance whose model judges a request."""
    names = [modules("types_a", A=a_type()), modules("types_b", A=a_type())]

    with pytest.raises(ValueError, match=r"letters\.print"):
        load_job_types(names)


def test_handlers_are_found_by_their_mark(modules: Modules) -> None:
    """Nothing registers itself by being imported."""
    job_type = a_type()
    handler = a_handler(job_type)
    catalogue = load_job_types([modules("types_a", A=job_type)])
    name = modules("handlers_a", work=handler, other=len, A=job_type)

    assert load_handlers([name], catalogue) == {"letters.print": handler}


def test_a_handler_for_an_unknown_type_is_refused(modules: Modules) -> None:
    """Its jobs could never be submitted: most often a forgotten setting."""
    name = modules("handlers_a", work=a_handler(a_type()))

    with pytest.raises(ValueError, match=r"handlers_a: letters\.print"):
        load_handlers([name], load_job_types([]))


def test_two_handlers_for_one_type_are_refused(modules: Modules) -> None:
    """Which of them runs would hang on the order of the modules."""
    job_type = a_type()
    catalogue = load_job_types([modules("types_a", A=job_type)])
    names = [modules(f"handlers_{n}", work=a_handler(job_type)) for n in "ab"]

    with pytest.raises(ValueError, match="already has a handler"):
        load_handlers(names, catalogue)


def test_one_handler_in_two_modules_is_one(modules: Modules) -> None:
    """A package may show what its modules have."""
    job_type = a_type()
    handler = a_handler(job_type)
    catalogue = load_job_types([modules("types_a", A=job_type)])
    names = [modules(f"handlers_{n}", work=handler) for n in "ab"]

    assert load_handlers(names, catalogue) == {"letters.print": handler}


def test_a_module_that_is_not_there_is_named() -> None:
    """A slip of the pen in the settings."""
    with pytest.raises(ImportError, match=r"UKETSUKE_JOB_TYPES: .* no_such_module.* PYTHONPATH"):
        load_job_types(["no_such_module"])


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("import no_such_thing", ImportError, "UKETSUKE_HANDLERS: mine needs no_such_thing"),
        ("def broken(:", ValueError, "UKETSUKE_HANDLERS: mine: .*mine.py, line 1"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_in_one_line(
    text: str,
    error: type[Exception],
    match: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has just written it must find the place, not our way to it."""
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    with pytest.raises(error, match=match):
        load_handlers(["mine"], load_job_types([]))
