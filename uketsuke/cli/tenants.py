"""``uketsuke keys …``, ``uketsuke tenants …``: what an administrator does, at the database.

Whoever has the address of the database may do this; so it takes no key, and works before there
is one.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from secrets import token_bytes
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn
from uuid import uuid4

import typer

from shared.contract.access import EVERYTHING, KEY_BYTES, digest_of, read_scopes, write_key
from shared.contract.errors import UketsukeError
from shared.contract.ids import parse_uuid
from uketsuke.cli import words
from uketsuke.cli.visit import ExitCode

if TYPE_CHECKING:
    from shared.store.ledgers import KeyEntry, KeyLedger, TenantEntry
    from shared.store.pool import Pool

_ADDRESS: Final = "UKETSUKE_DATABASE_URL"
_LONGEST_NAME: Final = 100


def _address_of_the_services() -> str:
    """Read it as they do, from a file of secrets as well: beside them nobody need know it."""
    from shared.runtime.settings import (  # noqa: PLC0415  only where no option names it
        BadSettings,
        DatabaseAddress,
        read_settings,
    )

    try:
        return read_settings(DatabaseAddress).database_url.get_secret_value()
    except BadSettings as error:
        raise typer.BadParameter(f"nothing names the database: {error}") from None


Database = Annotated[
    str,
    typer.Option(
        envvar=_ADDRESS,
        show_envvar=True,
        default_factory=_address_of_the_services,
        show_default=False,
        help="The database of the services.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document a line, nothing else.")]


def keys_app() -> typer.Typer:
    """Build the group of commands that make, list and revoke API keys."""
    app = typer.Typer(
        help=f"Make, list and revoke API keys, in the database that {_ADDRESS} names.",
        no_args_is_help=True,
    )
    app.command("create")(create)
    app.command("list")(list_keys)
    app.command("revoke")(revoke)
    return app


def tenants_app() -> typer.Typer:
    """Build the group of commands that say what tenants may use."""
    app = typer.Typer(
        help=f"Say what tenants may use, in the database that {_ADDRESS} names.",
        no_args_is_help=True,
    )
    app.command("set")(set_limits)
    app.command("list")(list_tenants)
    return app


def create(
    tenant: Annotated[str, typer.Option(help="Whose jobs its callers submit and see.")],
    scopes: Annotated[
        str, typer.Option(metavar="SCOPES", help="What they may do, with commas.")
    ] = ",".join(sorted(EVERYTHING)),
    name: Annotated[
        str, typer.Option(help="Who they are; keys of one name are one caller.")
    ] = "default",
    expires: Annotated[
        Any,
        typer.Option(metavar="DURATION|TIME", parser=words.expiry, help="As 90d."),
    ] = None,
    *,
    database: Database,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this one time: only its digest is stored."""
    _check_name(name)
    wanted = _read(lambda: read_scopes(scopes))
    key_id, shown = uuid4(), write_key(token_bytes(KEY_BYTES))
    digest = digest_of(shown)
    if digest is None:
        raise AssertionError("a key of ours is not taken for one")

    async def work(ledger: "KeyLedger") -> None:
        await ledger.add(key_id, digest, tenant=tenant, name=name, scopes=wanted, expires=expires)

    _at_the_ledger(database, work)
    if as_json:
        typer.echo(json.dumps({"id": str(key_id), "key": shown, "tenant": tenant}))
        return
    typer.echo(shown)
    typer.echo(f"This is key {key_id} of {tenant}. It is shown this once: keep it.", err=True)


def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    *,
    database: Database,
    as_json: AsJson = False,
) -> None:
    """List keys, never what they are: whose, what for, since when, how long, last used."""
    entries = _at_the_ledger(database, lambda ledger: ledger.entries(tenant))
    for entry in entries:
        typer.echo(json.dumps(asdict(entry), default=str) if as_json else _line(entry))


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `list` shows it.")],
    *,
    database: Database,
) -> None:
    """End a key for good: within 5 seconds on every replica, open streams too."""
    wanted = parse_uuid(key_id)
    if wanted is None or not _at_the_ledger(database, lambda ledger: ledger.revoke(wanted)):
        _give_up(f"there is no key {key_id!r}", ExitCode.UNKNOWN)
    typer.echo(f"revoked {key_id}", err=True)


def set_limits(
    tenant: Annotated[str, typer.Argument(metavar="TENANT")],
    rate: Annotated[
        float | None, typer.Option(min=0.001, max=1e6, help="Submits a second; else any.")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, max=10**6, help="Submits at once after a rest.")
    ] = None,
    queued: Annotated[
        int | None, typer.Option(min=0, max=10**9, help="Jobs that have not started; else any.")
    ] = None,
    streams: Annotated[
        int | None, typer.Option(min=0, max=10**6, help="Streams open at a time; else any.")
    ] = None,
    *,
    database: Database,
) -> None:
    """Say what a tenant may use from now on; what is not named here is not limited any more.

    Replicas know it within 5 seconds. Without --burst it is twice the rate.
    """
    if rate is None and burst is not None:
        raise typer.BadParameter("--burst says how a --rate may be used")
    if rate is not None and burst is None:
        burst = max(1, round(rate * 2))

    async def work(pool: "Pool") -> None:
        from shared.store.ledgers import TenantLedger  # noqa: PLC0415  as below
        from shared.store.quotas import Limits  # noqa: PLC0415  as below

        limits = Limits(rate=rate, burst=burst, queued=queued, streams=streams)
        await TenantLedger(pool).set_limits(tenant, limits)

    _at_the_database(database, work)


def list_tenants(*, database: Database, as_json: AsJson = False) -> None:
    """List all tenants, and what each may use."""

    async def work(pool: "Pool") -> "Sequence[TenantEntry]":
        from shared.store.ledgers import TenantLedger  # noqa: PLC0415  as below

        return await TenantLedger(pool).entries()

    for entry in _at_the_database(database, work):
        limits = {name: value for name, value in asdict(entry.limits).items() if value is not None}
        if as_json:
            typer.echo(json.dumps({"tenant": entry.name, **limits}))
        else:
            told = " ".join(f"{name}={value:g}" for name, value in limits.items())
            typer.echo(f"{entry.name}  {told or 'no limits'}")


def _at_the_ledger(database: str, work: "Callable[[KeyLedger], Awaitable[Any]]") -> Any:
    async def visit(pool: "Pool") -> Any:
        from shared.store.ledgers import KeyLedger  # noqa: PLC0415  brings a driver: only here

        return await work(KeyLedger(pool))

    return _at_the_database(database, visit)


def _at_the_database(database: str, work: "Callable[[Pool], Awaitable[Any]]") -> Any:
    async def visit() -> Any:
        async with _pool(database) as pool:
            return await work(pool)

    return _run(visit)


def _pool(database: str) -> "AbstractAsyncContextManager[Pool]":
    from shared.store.pool import open_pool  # noqa: PLC0415  brings a driver: only here

    return open_pool(database, size=1, name="uketsuke administrator")


def _run(visit: Callable[[], Awaitable[Any]]) -> Any:
    """Do it, or end the command with one line that says why not."""
    from shared.store.pool import Rejected  # noqa: PLC0415  brings a driver: only here

    async def awaited() -> Any:
        return await visit()

    try:
        return asyncio.run(awaited())
    except ValueError as error:  # a name that is none, an address that is none
        _give_up(str(error), ExitCode.WRONG)
    except Rejected as error:
        _give_up(f"{error}: is the schema there? python -m shared.store.migrate", ExitCode.WRONG)
    except (UketsukeError, OSError) as error:
        cause = error.__cause__ or error
        _give_up(f"{_ADDRESS}: the database does not answer: {cause}", ExitCode.UNREACHABLE)


def _give_up(why: str, code: ExitCode) -> NoReturn:
    print(f"uketsuke: {why}", file=sys.stderr)  # noqa: T201  a command
    raise typer.Exit(code)


def _read(reading: Callable[[], Any]) -> Any:
    try:
        return reading()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _check_name(name: str) -> None:
    if not (name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
        raise typer.BadParameter(f"a name is 1 to {_LONGEST_NAME} characters that can be shown")


def _line(entry: "KeyEntry") -> str:
    state = "live" if entry.is_live else "revoked" if entry.revoked_at else "expired"
    until = f" until {_day(entry.expires_at)}" if entry.expires_at else ""
    scopes = ",".join(entry.scopes)
    return (
        f"{entry.id}  {entry.tenant}  {entry.name}  {scopes}  {state}{until}"
        f"  made {_day(entry.created_at)}  used {_day(entry.last_used_at)}"
    )


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
