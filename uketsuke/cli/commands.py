"""The commands. Each reads its words, pays one visit to the service, and shows what came of it."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shared.contract.jobs import OnConflict, Priority
from shared.contract.states import State
from shared.contract.states import Status as Coarse
from uketsuke.cli import words
from uketsuke.cli.following import Following
from uketsuke.cli.show import Screen
from uketsuke.cli.visit import DEFAULT_URL, URL_VARIABLE, ExitCode, Visit
from uketsuke.client import Client, Status
from uketsuke.documents import file_links

_DURATION: Final = {"parser": words.duration, "metavar": "DURATION"}
_INSTANT: Final = {"parser": words.instant, "metavar": "TIME"}

Url = Annotated[str, typer.Option(envvar=URL_VARIABLE, help="Where the front service is.")]
Token = Annotated[
    str | None, typer.Option(envvar="UKETSUKE_TOKEN", help="An API key, where one is asked for.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line, nothing else.")]
JobIdWord = Annotated[str, typer.Argument(metavar="JOB_ID")]
Timeout = Annotated[
    Any, typer.Option(help="Watch or wait no longer than this, as 90s or 2h.", **_DURATION)
]


def submit(
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="As documents.process.")],
    request: Annotated[
        str, typer.Argument(metavar="[JSON|@FILE|-]", help="The request's members.")
    ] = "{}",
    *,
    file: Annotated[
        list[str] | None, typer.Option(metavar="MEMBER=PATH", help="Send a file along.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Ordering key: its jobs run one after another.")
    ] = None,
    priority: Annotated[Priority | None, typer.Option()] = None,
    delay: Annotated[Any, typer.Option(help="Not before that long, as 10m.", **_DURATION)] = None,
    run_at: Annotated[Any, typer.Option(help="Not before then.", **_INSTANT)] = None,
    deadline: Annotated[Any, typer.Option(help="Ended by then, or expired.", **_INSTANT)] = None,
    max_attempts: Annotated[int | None, typer.Option(min=1)] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    callback_url: Annotated[str | None, typer.Option(help="Where to send the webhook.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Your own name for this request: again is the same job.")
    ] = None,
    unique: Annotated[
        str | None, typer.Option(metavar="KEY", help="One job of this type at a time has it.")
    ] = None,
    unique_for: Annotated[
        Any, typer.Option(help="Not while the job lives, but so long.", **_DURATION)
    ] = None,
    on_conflict: Annotated[
        OnConflict | None, typer.Option(help="What to do if another job has the unique key.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show how it gets on.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Only tell how it ended.")] = False,
    timeout: Timeout = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Hand in a job."""
    visit = visiting(url, token, as_json=as_json)
    if unique is None and (unique_for is not None or on_conflict is not None):
        raise typer.BadParameter("--unique-for and --on-conflict go with --unique KEY")
    members, files = words.request(request), words.files(file or [])
    name = idempotency_key or str(uuid.uuid4())
    visit.farewells = [f"To be sure it is one job, repeat with: --idempotency-key {name}"]

    async def work() -> ExitCode:
        async with visit.client() as client:
            ticket = await client.submit(
                job_type,
                members,
                files=files,
                idempotency_key=name,
                ordering_key=key,
                priority=priority,
                delay=delay,
                run_at=run_at,
                deadline=deadline,
                max_attempts=max_attempts,
                tags=tag or (),
                callback_url=callback_url,
                unique_key=unique,
                unique_for=unique_for,
                on_conflict=on_conflict,
            )
            visit.farewells.clear()
            visit.screen.ticket(ticket, client)
        if not (watch or wait):
            return ExitCode.DONE
        following = Following(visit, [str(ticket.job_id)], timeout=timeout, quietly=not watch)
        return await following.to_the_end()

    visit.run(work)


def status(
    job_id: JobIdWord, url: Url = DEFAULT_URL, token: Token = None, *, as_json: AsJson = False
) -> None:
    """Tell how a job is now."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            found = await client.status(job_id)
        visit.screen.status(found)
        return (
            ExitCode.ENDED_OTHERWISE if found.has_ended and not found.succeeded else ExitCode.DONE
        )

    visit.run(work)


def watch(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB_ID...")],
    *,
    after: Annotated[
        int | None, typer.Option(min=0, help="The sequence that was seen last.")
    ] = None,
    timeout: Timeout = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show how jobs get on, until all have ended."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            await client.status(job_ids[0])  # nobody there, or no such job: said at once
        return await Following(visit, job_ids, after=after, timeout=timeout).to_the_end()

    visit.run(work)


def result(
    job_id: JobIdWord,
    *,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Download its files into this folder.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Print what a job resulted in, and fetch its files."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            results = await client.result(job_id)
            files = [
                {"member": member, "url": client.address(link)}
                for member, link in file_links(results)
            ]
            if save is not None:
                await _save(client, files, save)
            visit.screen.result(job_id, results, files)
        return ExitCode.DONE

    visit.run(work)


def cancel(
    job_id: JobIdWord, url: Url = DEFAULT_URL, token: Token = None, *, as_json: AsJson = False
) -> None:
    """Ask for a job's end. One that runs is told, and ends soon."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            visit.screen.status(await client.cancel(job_id))
        return ExitCode.DONE

    visit.run(work)


def replay(
    job_id: JobIdWord, url: Url = DEFAULT_URL, token: Token = None, *, as_json: AsJson = False
) -> None:
    """Run a job again that failed, was cancelled or expired."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            visit.screen.status(await client.replay(job_id))
        return ExitCode.DONE

    visit.run(work)


def list_jobs(
    *,
    status: Annotated[Coarse | None, typer.Option()] = None,
    state: Annotated[State | None, typer.Option()] = None,
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
    """List jobs, newest first."""
    visit = visiting(url, token, as_json=as_json)

    async def work() -> ExitCode:
        async with visit.client() as client:
            found = client.jobs(
                status=status,
                state=state,
                job_type=job_type,
                ordering_key=key,
                tag=tag,
                created_after=since,
                created_before=until,
                page=min(limit, 200),
            )
            visit.screen.jobs(await first(limit, found))
        return ExitCode.DONE

    visit.run(work)


def visiting(url: str, token: str | None, *, as_json: bool) -> Visit:
    try:
        Client(url, token=token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return Visit(url=url, token=token, screen=Screen(as_json=as_json))


async def first(limit: int, found: AsyncGenerator[Status]) -> list[Status]:
    statuses: list[Status] = []
    async with aclosing(found):
        async for one in found:
            statuses.append(one)
            if len(statuses) == limit:
                break
    return statuses


async def _save(client: Client, files: list[dict[str, str]], folder: Path) -> None:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for file in files:
        file["path"] = str(await client.download(file["url"], folder))
