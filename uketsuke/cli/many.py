"""The commands that are about many jobs at once."""

import uuid
from typing import Annotated, Any, Final

import typer

from shared.contract.operating import Action, BulkFilter
from shared.contract.states import State
from shared.contract.states import Status as Coarse
from uketsuke.cli import words
from uketsuke.cli.commands import AsJson, Timeout, Token, Url, first, visiting
from uketsuke.cli.visit import DEFAULT_URL, PATIENT, QUICK, ExitCode
from uketsuke.errors import clean

_INSTANT: Final = {"parser": words.instant, "metavar": "TIME"}


def batch(
    entries: Annotated[
        str, typer.Argument(metavar="@FILE|-", help="A JSON object a line: type, request, job.")
    ],
    *,
    atomic: Annotated[bool, typer.Option("--atomic", help="All of them, or none.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Your own name for this batch: again is the same one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until every job has ended.")] = False,
    timeout: Timeout = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Hand in many jobs at once."""
    visit = visiting(url, token, as_json=as_json)
    body, key = words.lines(entries), idempotency_key or str(uuid.uuid4())
    visit.farewells = [f"To be sure it is one batch, repeat with: --idempotency-key {key}"]

    async def work() -> ExitCode:
        async with visit.client(PATIENT if wait else QUICK) as client:
            ticket = await client.submit_batch_document(
                body,
                key=key,
                media="application/x-ndjson",
                query={"atomic": "true"} if atomic else None,
            )
            visit.farewells.clear()
            visit.screen.batch_ticket(ticket)
            if not wait:
                return ExitCode.ENDED_OTHERWISE if ticket.refused else ExitCode.DONE
            status = await client.wait_for_batch(ticket.batch_id, deadline=timeout)
        visit.screen.batch_status(status)
        is_good = status.succeeded and not status.refused
        return ExitCode.DONE if is_good else ExitCode.ENDED_OTHERWISE

    visit.run(work)


def bulk(
    action: Annotated[Action, typer.Argument(metavar="replay|cancel|delete")],
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="[JOB_ID...]")] = None,
    *,
    all_jobs: Annotated[bool, typer.Option("--all", help="All jobs, whatever they are.")] = False,
    status: Annotated[Coarse | None, typer.Option()] = None,
    state: Annotated[State | None, typer.Option()] = None,
    job_type: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
    key: Annotated[str | None, typer.Option(help="Ordering key.")] = None,
    tag: Annotated[str | None, typer.Option()] = None,
    in_batch: Annotated[str | None, typer.Option("--batch", metavar="BATCH_ID")] = None,
    since: Annotated[Any, typer.Option(help="Created after then.", **_INSTANT)] = None,
    until: Annotated[Any, typer.Option(help="Created before then.", **_INSTANT)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Replay, cancel or delete many jobs."""
    visit = visiting(url, token, as_json=as_json)
    said = {
        "status": status,
        "state": state,
        "type": job_type,
        "orderingKey": key,
        "tag": tag,
        "batch": in_batch,
        "createdAfter": since,
        "createdBefore": until,
    }
    wanted = {name: value for name, value in said.items() if value is not None}
    if bool(job_ids) + bool(wanted) + all_jobs != 1:
        raise typer.BadParameter("say which: job ids, or some of the filters, or --all")
    try:
        chosen = None if job_ids else BulkFilter.model_validate(wanted)
    except ValueError as error:
        raise typer.BadParameter(clean(error)) from error

    async def work() -> ExitCode:
        async with visit.client(PATIENT) as client:
            answer = await client.bulk(action, filter=chosen, ids=job_ids, dry_run=dry_run)
        visit.screen.bulk(answer)
        return ExitCode.DONE

    visit.run(work)


def dead_letters(
    *,
    job_type: Annotated[str | None, typer.Option("--type", metavar="TYPE")] = None,
    key: Annotated[str | None, typer.Option(help="Ordering key.")] = None,
    tag: Annotated[str | None, typer.Option()] = None,
    since: Annotated[Any, typer.Option(help="Created after then.", **_INSTANT)] = None,
    until: Annotated[Any, typer.Option(help="Created before then.", **_INSTANT)] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs that failed for good."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            found = client.jobs(
                job_type=job_type,
                ordering_key=key,
                tag=tag,
                created_after=since,
                created_before=until,
                page=min(limit, 200),
                dead=True,
            )
            visit.screen.jobs(await first(limit, found))
        return ExitCode.DONE

    visit.run(work)


def stats(url: Url = DEFAULT_URL, token: Token = None, *, as_json: AsJson = False) -> None:
    """Tell how many jobs wait and run."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            visit.screen.stats(await client.stats())
        return ExitCode.DONE

    visit.run(work)


def types(url: Url = DEFAULT_URL, token: Token = None, *, as_json: AsJson = False) -> None:
    """List the job types, and whether they could be run now."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            visit.screen.types(await client.job_types())
        return ExitCode.DONE

    visit.run(work)
