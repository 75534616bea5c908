"""Examine a set-up before or while it runs, and say what to change: ``uketsuke doctor``.

It reads the settings of both services and looks at database, broker and machine with their rights.
It changes nothing that anybody relies on, and prints no secret.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from itertools import chain
from typing import IO, Any, Final

import orjson

from shared.blobs.opening import open_blobs
from shared.blobs.walk import START
from shared.broker.examine import examine_broker, policies
from shared.contract.errors import Unavailable, UnknownBlob
from shared.contract.findings import Finding, Health, sound, unknown, wrong
from shared.contract.job_types import Catalogue
from shared.doctor import here
from shared.runtime.catalogue import BUILT_IN_HANDLERS, load_handlers, load_job_types
from shared.runtime.clock import fresh_blob_id
from shared.runtime.settings import (
    BackSettings,
    BadSettings,
    FrontSettings,
    read_settings,
    unknown_names,
)
from shared.store.examine import examine_database, living_workers, not_asked
from shared.store.pool import Rejected

_QUICK: Final = 4  # connections of a back besides its pool
_ASK_POLICIES: Final = (
    "rabbitmqctl -p VHOST list_policies --formatter json | uketsuke doctor --policies -"
)


async def examine(policy_list: bytes | None = None) -> list[Finding]:
    """Look at everything; *policy_list* is what rabbitmqctl says of policies, if somebody asked."""
    try:
        front, back = read_settings(FrontSettings), read_settings(BackSettings)
    except BadSettings as error:
        return [wrong("settings", str(error), "Set what is named, or mend it: docs/settings.md.")]
    try:
        catalogue = load_job_types(front.job_type_modules)
        handlers = load_handlers((*BUILT_IN_HANDLERS, *back.handlers), catalogue)
    except (ImportError, ValueError) as error:
        return [wrong("job types", str(error), "Mend UKETSUKE_JOB_TYPES or UKETSUKE_HANDLERS.")]
    database, amqp = front.database_url.get_secret_value(), front.amqp_url.get_secret_value()
    most = max(front.pool_size + front.read_pool_size, back.pool_size + _QUICK)
    pools = sorted({*catalogue.pools, *back.pools})
    of_database, of_broker, of_workers = await asyncio.gather(
        examine_database(database, most_sessions=most),
        examine_broker(amqp, pools=pools, served=back.pools, declares=front.declare_topology),
        _workers(database, catalogue),
    )
    return [
        *here.unread(unknown_names()),
        here.descriptors(front.max_connections),
        here.blob_folder(front.blob_dir) if front.blob_url is None else await _bucket(front),
        *of_database,
        *of_broker,
        *_policies(policy_list, pools),
        unknown("clocks: broker", "it does not tell its time, and nothing goes by it"),
        here.without_handler(catalogue, handlers),
        of_workers,
    ]


async def _bucket(settings: FrontSettings) -> Finding:
    """Store, list, read and delete an object, as the services would."""
    what, blob_id = "blobs: bucket", fresh_blob_id()
    try:
        async with open_blobs(settings) as blobs:
            await blobs.put(blob_id, _one_byte(), most_bytes=1)
            await blobs.aged(START, older=timedelta(days=1))
            async for _ in blobs.open(blob_id):
                pass
            await blobs.delete(blob_id)
    except (Unavailable, UnknownBlob) as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        change = "See UKETSUKE_BLOB_URL and what else is set of it: we put, get, list and delete."
        return wrong(what, f"{settings.blob_url}: {reason}", change)
    return sound(what, f"{settings.blob_url} can be written to and read")


async def _one_byte() -> AsyncIterator[bytes]:
    yield b"x"


async def _workers(url: str, catalogue: Catalogue) -> Finding:
    try:
        return here.without_worker(catalogue, await living_workers(url))
    except (Unavailable, Rejected, OSError) as error:
        return not_asked("job types: living workers", error)


def _policies(listed: bytes | None, pools: Sequence[str]) -> Iterable[Finding]:
    what = "broker: policies"
    if listed is None:
        return [unknown(what, "only its administrators may read them", _ASK_POLICIES)]
    try:
        return list(policies(orjson.loads(listed), pools=pools))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        return [wrong(what, f"not as rabbitmqctl lists them: {error!r}"[:300], _ASK_POLICIES)]


def report(found: Sequence[Finding], *, as_json: bool, to: IO[str] = sys.stdout) -> int:
    """Print what was *found*; answer 1 if something is wrong, else 0."""
    bad = [one for one in found if one.health is Health.WRONG]
    if as_json:
        text = orjson.dumps({"isSound": not bad, "findings": [_document(one) for one in found]})
        to.write(text.decode() + "\n")
    else:
        to.write("".join(chain.from_iterable(map(_lines, found))))
        dark = sum(one.health is Health.UNKNOWN for one in found)
        to.write(f"\n{len(found) - len(bad) - dark} sound, {len(bad)} wrong, {dark} not known\n")
    return 1 if bad else 0


def _document(one: Finding) -> dict[str, Any]:
    told = {"what": one.what, "health": one.health, "found": one.found}
    return {**told, "change": one.change} if one.change else told


def _lines(one: Finding) -> list[str]:
    mark = "WRONG" if one.health is Health.WRONG else str(one.health)
    lines = [f"{mark:<8} {one.what}: {one.found}\n"]
    return [*lines, f"         -> {one.change}\n"] if one.change else lines
