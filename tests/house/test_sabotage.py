"""The defects of ``make sabotage`` fit the code that they break, and name tests that exist."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.house.sources import ROOT
from tests.sabotage.catalogue import DEFECTS
from tests.sabotage.defect import Defect, DoesNotApply

_SERVERS = re.compile(r"^pytestmark = .*servers", re.MULTILINE)

each_defect = pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.id)


def harmed(defect: Defect) -> str:
    return defect.harm((ROOT / defect.file).read_text("utf-8"))


@each_defect
def test_a_defect_fits_its_file_once(defect: Defect) -> None:
    """A patch that fits nothing any more breaks nothing, and what breaks nothing proves nothing."""
    assert harmed(defect) != (ROOT / defect.file).read_text("utf-8")


@each_defect
def test_a_harmed_module_is_still_python(defect: Defect) -> None:
    """A slip of the pen turns every test red, and says nothing of the one that is named."""
    if defect.file.endswith(".py"):
        ast.parse(harmed(defect))


@each_defect
def test_the_tests_that_a_defect_names_exist(defect: Defect) -> None:
    """With them goes what a parameter in brackets is named after."""
    for test in defect.tests:
        path, _, name = test.partition("::")
        name, _, parameter = name.removesuffix("]").partition("[")
        text = (ROOT / path).read_text("utf-8")

        assert name in set(named_in(ast.parse(text).body))
        assert parameter in text


@each_defect
def test_a_defect_says_whether_its_tests_need_servers(defect: Defect) -> None:
    """Whoever has none may still try the others."""
    texts = [(ROOT / test.partition("::")[0]).read_text("utf-8") for test in defect.tests]

    assert defect.servers == any(_SERVERS.search(text) for text in texts)


def test_every_defect_has_a_name_of_its_own() -> None:
    """Logs and results are told apart by it."""
    assert len({defect.id for defect in DEFECTS}) == len(DEFECTS)


def test_a_defect_that_fits_nowhere_or_twice_is_seen() -> None:
    """The check of the checks."""
    defect = Defect(id="S0", breaks="", file="x", text="a", instead="b", tests=())

    assert defect.harm("cat") == "cbt"
    for whole in ("dog", "alas"):
        with pytest.raises(DoesNotApply):
            defect.harm(whole)


def test_the_project_itself_is_never_harmed() -> None:
    """Defects are for copies."""
    with pytest.raises(ValueError, match="copies"):
        DEFECTS[0].apply(ROOT)


@pytest.mark.servers
@pytest.mark.parametrize(
    "defect", [d for d in DEFECTS if "/queries/" in d.file], ids=lambda defect: defect.id
)
async def test_a_harmed_statement_is_still_understood(schema: Any, defect: Defect) -> None:
    """It must do the wrong thing, not nothing."""
    assert await schema.prepare(harmed(defect))


@pytest.mark.servers
async def test_a_harmed_schema_can_still_be_made(schema: Any) -> None:
    """As above, for the first migration; it is taken back at once."""
    for defect in DEFECTS:
        if "/migrations/" in defect.file:
            transaction = schema.transaction()
            await transaction.start()
            await schema.execute(
                f"CREATE SCHEMA harmed; SET LOCAL search_path = harmed; {harmed(defect)}"
            )
            await transaction.rollback()


def named_in(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Name the tests of a file or a class, as pytest does."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{name}" for name in named_in(node.body))
