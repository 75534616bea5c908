"""Who may import whom: the arrows of the tree, checked on every file as it is."""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import packages_distributions
from typing import Final

import pytest

from tests.house.sources import ROOT, TOPS, Source, imports, pretend, sources

_CONTRACT: Final = frozenset({"shared.contract"})
_RUNTIME: Final = _CONTRACT | {"shared.runtime"}
_OUTBOX: Final = _RUNTIME | {"shared.store", "shared.broker"}
_SERVICE: Final = _OUTBOX | {"shared.blobs", "shared.outbox"}

MAY_IMPORT: Final[Mapping[str, Collection[str]]] = {
    "shared.contract": (),
    "shared.job_types": _CONTRACT,
    "shared.runtime": _CONTRACT,
    "shared.store": _RUNTIME,
    "shared.broker": _RUNTIME,
    "shared.blobs": _RUNTIME,
    "shared.outbox": _OUTBOX,
    "shared.doctor": _SERVICE,
    "front_service": _SERVICE,
    "back_service": _SERVICE,
    "back_service.handlers": ("uketsuke", "shared.job_types"),
    "uketsuke": _CONTRACT,
    "uketsuke.cli.tenants": (*_RUNTIME, "shared.store", "uketsuke"),
    "uketsuke.cli.doctor": ("uketsuke", "shared.doctor"),
}
"""Each part of the tree and the other parts it may know. The longest name that fits counts."""

LIVES_IN: Final[Mapping[str, Collection[str]]] = {
    "aio_pika": ("shared.broker",),
    "aiohttp": (
        *("front_service", "shared.runtime.probes", "uketsuke"),
        *("back_service.egress", "back_service.fetching"),
    ),
    "aiormq": ("shared.broker",),
    "asyncpg": ("shared.store",),
    "joserfc": ("front_service.id_tokens",),
    "multidict": ("front_service",),
    "obstore": ("shared.blobs",),
    "opentelemetry": ("shared.runtime",),
    "orjson": TOPS,
    "pamqp": ("shared.broker",),
    "prometheus_client": ("shared.runtime",),
    "pydantic": TOPS,
    "pydantic_core": ("shared.contract", "front_service.described.schemas"),
    "pydantic_settings": ("shared.runtime",),
    "rich": ("uketsuke.cli",),
    "structlog": ("shared", "front_service", "back_service"),
    "typer": ("uketsuke.cli",),
    "uvloop": ("front_service.__main__", "back_service.__main__"),
    "yarl": (
        "shared.broker",
        "back_service.egress",
        "back_service.fetching",
        "front_service.issuer",
        "uketsuke",
    ),
}
"""The third parties of the services and their houses: each can be changed there alone."""

AUTHORS: Final = "back_service.handlers"
"""The author of a handler chooses libraries freely; nobody else may lean on them."""

EDGES_OF_THE_FRONT: Final = (
    "front_service.__main__",
    "front_service.api",
    "front_service.app",
    "front_service.ground",
    "front_service.connection",
    "front_service.turnstile",
    "front_service.issuer",
    "front_service.keys",
    "front_service.oidc",
    "front_service.middleware",
    "front_service.push.many",
    "front_service.push.reader",
    "front_service.push.socket",
    "front_service.push.sse",
    "front_service.push.websocket",
    "front_service.routes",
    "front_service.server",
)
"""What speaks HTTP. All the rest of the front are use cases: they would serve any other way in."""

PURE: Final[Mapping[str, Collection[str]]] = {
    "front_service.allowance": (*_CONTRACT, "shared.runtime.clock", "shared.store.quotas"),
    "back_service.verdict": _CONTRACT,
    "back_service.shares": _CONTRACT,
    "back_service.turns": (*_CONTRACT, "back_service.knocks", "back_service.shares"),
    "back_service.knocks": (*_CONTRACT, "back_service.shares", "shared.broker.delivery"),
    "front_service.vetting": (*_CONTRACT, "front_service.pointers"),
    "front_service.pointers": (),
}
"""Decisions that are tested without a loop, a clock or a socket, and all they may know of ours."""

ACTS: Final = frozenset(
    {
        *("asyncio", "logging", "os", "random", "secrets", "select", "shutil", "signal", "socket"),
        *("ssl", "structlog", "subprocess", "tempfile", "threading", "time"),
    }
)
"""Modules by which code could act, wait, or ask the machine."""


def part_of(name: str, parts: Collection[str]) -> str | None:
    """Find the longest of *parts* that *name* is, or lies in."""
    found = [part for part in parts if name == part or name.startswith(f"{part}.")]
    return max(found, key=len, default=None)


def _ours(source: Source) -> Iterator[str]:
    return (name for name in imports(source) if name.partition(".")[0] in TOPS)


def _third_parties(source: Source) -> set[str]:
    tops = {name.partition(".")[0] for name in imports(source)}
    return tops - set(TOPS) - sys.stdlib_module_names


def wrong_arrows(source: Source) -> list[str]:
    """List the imports of *source* that no arrow of the tree allows."""
    home = part_of(source.module, MAY_IMPORT)
    if home is None:
        return []
    allowed = {home, *MAY_IMPORT[home]}
    return sorted(
        name
        for name in set(_ours(source))
        if part_of(name, MAY_IMPORT) not in allowed and part_of(name, allowed) is None
    )


def strangers(source: Source) -> list[str]:
    """List the third parties that *source* imports and that do not live there."""
    return sorted(
        name
        for name in _third_parties(source)
        if part_of(source.module, LIVES_IN.get(name, (AUTHORS,))) is None
    )


def edges_known(source: Source) -> list[str]:
    """List what a use case of the front imports of HTTP and of the modules that speak it."""
    if part_of(source.module, EDGES_OF_THE_FRONT):
        return []
    return sorted(
        name
        for name in set(imports(source))
        if name.partition(".")[0] == "aiohttp" or part_of(name, EDGES_OF_THE_FRONT)
    )


def impurities(source: Source, known: Collection[str]) -> list[str]:
    """List what a pure module imports beyond *known*, or could act by."""
    names = set(imports(source))
    foreign = {n for n in names if n.partition(".")[0] in TOPS and not part_of(n, known)}
    acting = {n for n in names if n.partition(".")[0] in ACTS}
    asking = {
        f"{node.func.attr}()"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today")
    }
    return sorted(foreign | acting | asking)


def offenders(rule: Callable[[Source], list[str]], *tops: str) -> dict[str, list[str]]:
    """Name every module that breaks *rule*, and by what."""
    return {source.module: found for source in sources(*tops) if (found := rule(source))}


def test_a_module_imports_only_what_its_arrows_allow() -> None:
    """A layer that knows the one above it can no longer be understood, tested or changed alone."""
    assert offenders(wrong_arrows, *TOPS) == {}


def test_a_third_party_is_imported_only_where_it_lives() -> None:
    """A driver that is known everywhere can nowhere be replaced."""
    assert offenders(strangers, *TOPS) == {}


def test_a_use_case_of_the_front_knows_nothing_of_http() -> None:
    """What a submit or a cancel means is the same by HTTP, by socket, or by any way to come."""
    assert offenders(edges_known, "front_service") == {}


@pytest.mark.parametrize("name", PURE)
def test_a_decision_is_pure(name: str) -> None:
    """Whoever decides does not act: so every choice is a table that a test can go through."""
    source = next(source for source in sources(*TOPS) if source.module == name)

    assert impurities(source, PURE[name]) == []


def test_the_contract_can_neither_act_nor_ask_the_machine() -> None:
    """It is imported by the client of strangers: it must be values and rules, and no more."""
    assert offenders(lambda source: impurities(source, _CONTRACT), "shared/contract") == {}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("shared.contract.a", "from shared.runtime import clock"),
        ("shared.store.a", "import shared.broker.publisher"),
        ("shared.broker.a", "from shared.blobs.store import BlobStore"),
        ("shared.runtime.a", "from shared.store.pool import Pool"),
        ("front_service.a", "def f() -> None:\n    from back_service import consumer"),
        ("back_service.a", "from front_service.push.hub import Hub"),
        ("back_service.handlers.a", "from shared.store.work import WorkStore"),
        ("back_service.handlers.a", "from back_service.context import AttemptContext"),
        ("uketsuke.client", "from shared.runtime.clock import SystemClock"),
        ("shared.outbox", "from shared.blobs.store import BlobStore"),
    ],
)
def test_an_arrow_against_the_tree_is_seen(module: str, text: str) -> None:
    """A rule that cannot be broken guards nothing; imports inside functions count as well."""
    assert wrong_arrows(pretend(module, text)) != []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("back_service.a", "import asyncpg"),
        ("shared.store.a", "from aio_pika.abc import AbstractConnection"),
        ("shared.runtime.a", "import never_heard_of"),
    ],
)
def test_a_third_party_out_of_its_house_is_seen(module: str, text: str) -> None:
    """Also one that nobody has given a house yet."""
    assert strangers(pretend(module, text)) != []


def test_http_in_a_use_case_is_seen() -> None:
    """Whether by the library or by a module of ours that speaks it."""
    assert edges_known(pretend("front_service.admission", "from aiohttp import web")) != []
    assert edges_known(pretend("front_service.control", "from front_service import keys")) != []


@pytest.mark.parametrize(
    "text",
    ["import time", "from datetime import datetime\nA = datetime.now()", "import shared.store.sql"],
)
def test_an_impure_decision_is_seen(text: str) -> None:
    """Whether it acts, asks the machine for the time, or knows somebody who does."""
    assert impurities(pretend("back_service.verdict", text), _CONTRACT) != []


def _plain(name: str) -> str:
    """Write a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported() -> set[str]:
    """Name the distributions that the running services import."""
    providers = packages_distributions()
    tops = {name for source in sources(*TOPS) for name in _third_parties(source)}
    return {_plain(provider) for name in tops for provider in providers.get(name, [name])}


def test_everything_that_is_imported_is_pinned() -> None:
    """What runs here runs there: with the very same bytes."""
    lock = (ROOT / "requirements" / "run.lock").read_text("utf-8")
    pinned = {_plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}

    assert _imported() - pinned == set()


def test_everything_that_is_depended_on_is_used() -> None:
    """A library that nobody imports is still downloaded, audited and patched."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["documents"]]
    names = {_plain(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in wanted}

    assert names - _imported() == set(NOT_IMPORTED)


NOT_IMPORTED: Final[Mapping[str, str]] = {
    "uharfbuzz": "fpdf2 shapes text with it when it is there",
}
"""What is installed without an import of ours, each with its reason."""
