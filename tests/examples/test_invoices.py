"""The invoices example: what its README shows is so, without servers and with the real pair."""

import asyncio
import json
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest

from deploy.local.stack import Stack
from shared.contract.authoring import Handler
from shared.contract.job_types import Catalogue
from shared.runtime.catalogue import load_handlers, load_job_types
from tests.examples.contexts import PlainChildContext, PlainContext, as_context
from tests.support.house import open_house
from uketsuke import Fail, Retry

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
HERE: Final = EXAMPLES / "invoices"
ROOT: Final = EXAMPLES.parent


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """The job types as a service with ``UKETSUKE_JOB_TYPES`` would find them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return load_job_types(["invoices.job_types"])


@pytest.fixture
def handlers(catalogue: Catalogue) -> Mapping[str, Handler]:
    return load_handlers(["invoices.handlers"], catalogue)


@contextmanager
def open_ledger() -> Iterator[Any]:
    """Run the example's ledger on a free port."""
    from invoices.ledger import Ledger  # type: ignore[import-not-found]  # noqa: PLC0415

    ledger = Ledger(0, loud=False)
    thread = Thread(target=ledger.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield ledger
    finally:
        ledger.shutdown()
        thread.join(5)
        ledger.server_close()


@pytest.fixture
def ledger(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with open_ledger() as ledger:
        monkeypatch.setenv("INVOICES_LEDGER", f"http://127.0.0.1:{ledger.server_port}")
        yield ledger


def request_of(catalogue: Catalogue, name: str) -> Any:
    body = (HERE / "requests" / f"{name}.json").read_bytes()
    return catalogue[f"invoices.{name}"].request.model_validate_json(body)


def test_every_type_has_its_handler_and_its_request(
    catalogue: Catalogue, handlers: Mapping[str, Handler]
) -> None:
    """What the folder offers is complete."""
    assert set(handlers) == set(catalogue)
    assert {f"invoices.{path.stem}" for path in (HERE / "requests").iterdir()} == set(catalogue)
    for name in catalogue:
        assert request_of(catalogue, name.partition(".")[2])


def test_the_ordering_key_is_a_member_of_the_request(catalogue: Catalogue) -> None:
    """One customer's invoices wait for each other; the value is fit to be a key."""
    rule = catalogue["invoices.render"].ordering

    assert rule.required
    assert rule.member is not None
    assert getattr(request_of(catalogue, "render"), rule.member) == "acme"


async def test_render_keeps_a_page_and_trusts_no_text(
    catalogue: Catalogue, handlers: Mapping[str, Handler], tmp_path: Path
) -> None:
    """What a caller wrote is shown, never run."""
    context = PlainContext(folder=tmp_path)
    given = request_of(catalogue, "render").model_dump()
    given["lines"][0]["text"] = "<script>alert(1)</script>"
    request = catalogue["invoices.render"].request.model_validate(given)

    answer: Any = handlers["invoices.render"](as_context(context), request)
    result = await answer

    page = context.kept["2030-0001.html"].decode()
    assert result.total_cents == 8_490
    assert "Total 84.90" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert result.document.startswith("/api/blobs/")


async def run_to_the_end(handler: Handler, context: PlainContext, request: Any) -> tuple[Any, int]:
    """Try as the runner would, without its pauses; give the result and the last attempt."""
    while True:
        try:
            answer: Any = handler(as_context(context), request)
            return await answer, context.attempt
        except Retry:
            assert context.attempt < context.max_attempts
            context = context.again()


async def test_book_books_each_invoice_once_through_all_trouble(
    catalogue: Catalogue, handlers: Mapping[str, Handler], ledger: Any, tmp_path: Path
) -> None:
    """Refused, cut off, repeated: in the end the ledger has every invoice exactly once."""
    request = request_of(catalogue, "book")
    context = PlainContext(folder=tmp_path)

    result, attempts = await run_to_the_end(handlers["invoices.book"], context, request)

    assert ledger.bookings == [(invoice.number, invoice.cents) for invoice in request.invoices]
    assert result.booked == len(request.invoices)
    assert attempts > 2
    assert attempts <= catalogue["invoices.book"].retries.attempts


async def test_book_waits_as_long_as_the_ledger_asks(
    catalogue: Catalogue, handlers: Mapping[str, Handler], ledger: Any, tmp_path: Path
) -> None:
    """And an attempt that failed leaves a checkpoint behind what it did."""
    context = PlainContext(folder=tmp_path)
    handler: Any = handlers["invoices.book"]

    with pytest.raises(Retry) as asked:
        await handler(as_context(context), request_of(catalogue, "book"))

    assert asked.value.after == timedelta(seconds=1)
    assert context.saved == [1, 2]
    assert [message for _, message in context.told] == ["booked 2030-0001", "booked 2030-0002"]


async def test_book_retries_by_its_type_when_nobody_answers(
    catalogue: Catalogue,
    handlers: Mapping[str, Handler],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unused_tcp_port: int,
) -> None:
    """Nobody said when to come back: the backoff of the type decides."""
    monkeypatch.setenv("INVOICES_LEDGER", f"http://127.0.0.1:{unused_tcp_port}")
    handler: Any = handlers["invoices.book"]

    with pytest.raises(Retry) as failed:
        await handler(as_context(PlainContext(folder=tmp_path)), request_of(catalogue, "book"))

    assert failed.value.after is None


async def test_book_does_not_repeat_what_is_refused_for_good(
    catalogue: Catalogue, handlers: Mapping[str, Handler], ledger: Any, tmp_path: Path
) -> None:
    """A refusal that no repeat mends is a failure the caller can read."""
    ledger.take = lambda *_: 422
    handler: Any = handlers["invoices.book"]

    with pytest.raises(Fail) as failed:
        await handler(as_context(PlainContext(folder=tmp_path)), request_of(catalogue, "book"))

    assert failed.value.code == "ledger_refused"
    assert "2030-0001" in failed.value.message


def a_match(catalogue: Catalogue, *, open_invoices: int, paid: int) -> Any:
    """Ask for the last *paid* of so many invoices: powers of two add up in one way only."""
    cents = [2**at for at in range(open_invoices)]
    return catalogue["invoices.match"].request.model_validate(
        {
            "paymentCents": sum(cents[-paid:]),
            "openInvoices": [{"number": str(each), "cents": each} for each in cents],
        }
    )


def test_match_finds_what_was_paid_and_tells_how_far_it_is(
    catalogue: Catalogue, handlers: Mapping[str, Handler], tmp_path: Path
) -> None:
    """A question that can be answered is, and progress only ever grows."""
    context = PlainChildContext(folder=tmp_path)
    request = a_match(catalogue, open_invoices=20, paid=11)

    result: Any = handlers["invoices.match"](context, request)

    paid = {invoice.number: invoice.cents for invoice in request.open_invoices}
    assert sum(paid[number] for number in result.paid) == request.payment_cents
    percents = [percent for percent, _ in context.told]
    assert percents == sorted(percents)
    assert len(percents) > 20


def test_the_match_of_the_readme_has_to_try_everything(catalogue: Catalogue) -> None:
    """There must be time for Ctrl-C and a cancel: no sum of whole tens is one cent off."""
    request = request_of(catalogue, "match")
    cents = [invoice.cents for invoice in request.open_invoices]

    assert len(cents) == 24
    assert {each % 10 for each in cents} == {0}
    assert request.payment_cents % 10
    assert request.payment_cents < sum(cents)


@pytest.mark.parametrize(
    ("payment", "paid"),
    [(700, ("b", "c")), (500, ("c",)), (1_000, ("a", "b", "c")), (1, None), (0, None)],
)
def test_match_prefers_few_invoices_and_owns_up_to_none(
    catalogue: Catalogue,
    handlers: Mapping[str, Handler],
    tmp_path: Path,
    payment: int,
    paid: tuple[str, ...] | None,
) -> None:
    """No set that fits is an answer, not a failure."""
    bills = [{"number": n, "cents": c} for n, c in (("a", 300), ("b", 200), ("c", 500))]
    request = catalogue["invoices.match"].request.model_validate(
        {"paymentCents": payment, "openInvoices": bills}
    )

    result: Any = handlers["invoices.match"](PlainChildContext(folder=tmp_path), request)

    assert result.paid == paid


def test_match_goes_on_at_its_checkpoint(
    catalogue: Catalogue, handlers: Mapping[str, Handler], tmp_path: Path
) -> None:
    """What an interrupted attempt has tried is not tried again."""
    first, second = PlainChildContext(folder=tmp_path), PlainChildContext(folder=tmp_path)
    request = a_match(catalogue, open_invoices=16, paid=9)
    handlers["invoices.match"](first, request)
    second.checkpoint = first.saved[-1]

    handlers["invoices.match"](second, request)

    assert first.saved == list(range(1, 10))
    assert second.saved == [9]
    assert second.told[0][0] > 50


def commands() -> list[list[str]]:
    """Read the calls of the command line that the README shows."""
    blocks = re.findall(r"```sh\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[3:] for line in lines if " -m uketsuke " in line]


def test_the_readme_shows_a_submit_of_every_type(catalogue: Catalogue) -> None:
    """Nothing here is left for the reader to work out."""
    shown = [words[1] for words in commands() if words[0] == "submit"]

    assert sorted(shown) == sorted(catalogue)


@pytest.fixture(scope="module")
async def desk_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The real pair with the example's modules, as the README starts it."""
    sys.path.insert(0, str(EXAMPLES))
    folder = tmp_path_factory.mktemp("invoices")
    try:
        with open_ledger() as ledger:
            async with open_house(stack, folder) as house:
                house.extra = {
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{EXAMPLES}",
                    "UKETSUKE_JOB_TYPES": "invoices.job_types",
                    "UKETSUKE_HANDLERS": "invoices.handlers",
                    "INVOICES_LEDGER": f"http://127.0.0.1:{ledger.server_port}",
                }
                front = await house.front()
                await house.back()
                yield house.url(front)
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.mark.acceptance
@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:2]))
async def test_every_command_of_the_readme_works(desk_url: str, words: list[str]) -> None:
    """Copied from the page, pasted at the real pair."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uketsuke", *words, "--json"),
        env=os.environ | {"UKETSUKE_URL": desk_url},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    said = [json.loads(line) for line in out.splitlines()]
    if "--watch" in words:
        assert said[-1]["status"] == "completed"
