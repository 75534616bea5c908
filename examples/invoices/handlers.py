"""The work: read by the back service only. Each handler shows one way to be safe to repeat."""

import asyncio
import os
from datetime import timedelta
from html import escape
from typing import Final

import aiohttp

from uketsuke import ChildContext, Context, Fail, Retry, handles

from .job_types import (
    BOOK,
    MATCH,
    RENDER,
    Booked,
    BookRequest,
    Invoice,
    Match,
    MatchRequest,
    RenderedInvoice,
    RenderRequest,
)
from .matching import find_set

LEDGER_VARIABLE: Final = "INVOICES_LEDGER"
_LEDGER: Final = "http://127.0.0.1:8765"
_PATIENCE: Final = aiohttp.ClientTimeout(total=10)


@handles(RENDER)
async def render(context: Context, request: RenderRequest) -> RenderedInvoice:
    """Write a page and keep it as a blob: a repeat writes the same page again."""
    await context.progress(10, "adding up")
    total = sum(line.quantity * line.unit_price_cents for line in request.lines)
    page = context.folder / "invoice.html"
    await asyncio.to_thread(page.write_text, _page(request, total), encoding="utf-8")
    await context.progress(70, "storing the page")
    blob = await context.keep(page, name=f"{request.number}.html", content_type="text/html")
    return RenderedInvoice(number=request.number, total_cents=total, document=blob.url)


@handles(BOOK)
async def book(context: Context, request: BookRequest) -> Booked:
    """Book one invoice after the other; the next attempt goes on where this one stopped."""
    invoices, done = request.invoices, context.checkpoint or 0
    address = os.environ.get(LEDGER_VARIABLE, _LEDGER)
    async with aiohttp.ClientSession(address, timeout=_PATIENCE) as ledger:
        for number, invoice in enumerate(invoices[done:], start=done + 1):
            await _enter(ledger, invoice, key=f"{context.idempotency_key}:{invoice.number}")
            await context.save_checkpoint(number)
            await context.progress(100 * number / len(invoices), f"booked {invoice.number}")
    return Booked(booked=len(invoices), attempts=context.attempt)


async def _enter(ledger: aiohttp.ClientSession, invoice: Invoice, *, key: str) -> None:
    """Book *invoice*. The ledger knows *key*: said twice, it is booked once."""
    entry, headers = {"cents": invoice.cents}, {"Idempotency-Key": key}
    try:
        async with ledger.put(f"/bookings/{invoice.number}", json=entry, headers=headers) as answer:
            status, wait = answer.status, answer.headers.get("Retry-After", "1")
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        raise Retry("the ledger does not answer") from error  # waits as the job type says
    if status == 503:  # noqa: PLR2004  # the ledger's own word for it
        raise Retry("the ledger is busy", after=timedelta(seconds=int(wait)))
    if status not in (200, 201):
        raise Fail("ledger_refused", f"The ledger refuses {invoice.number}.")


@handles(MATCH)
def match(context: ChildContext, request: MatchRequest) -> Match:
    """Try all sets, in a process of its own: it may take all of a core, and can be killed."""
    cents = [invoice.cents for invoice in request.open_invoices]
    everything = 2 ** len(cents)

    def tried(count: int) -> None:
        context.progress(100 * count / everything, f"{count:,} sets tried")

    for size in range(context.checkpoint or 1, len(cents) + 1):
        context.save_checkpoint(size)
        places = find_set(cents, request.payment_cents, size, tried)
        if places is not None:
            return Match(paid=tuple(request.open_invoices[at].number for at in places))
    return Match(paid=None)


def _page(request: RenderRequest, total: int) -> str:
    rows = "".join(
        f"<tr><td>{escape(line.text)}<td>{line.quantity}<td>{_money(line.unit_price_cents)}"
        for line in request.lines
    )
    return (
        "<!doctype html><meta charset=utf-8>"
        f"<title>Invoice {request.number}</title><h1>Invoice {request.number}</h1>"
        f"<p>To {request.customer}<table>{rows}</table><p>Total {_money(total)}"
    )


def _money(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02}"
