"""The front service on a real PostgreSQL and a real RabbitMQ, as it runs in production."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import orjson
import pytest

from front_service.app import open_front
from front_service.server import HttpServer
from shared.runtime.serving import serve
from shared.store.migrate import migrate
from tests.front.desk import settings
from tests.support.needs import need_setting
from tests.support.waiting import until
from uketsuke import Client

pytestmark = pytest.mark.servers

NOWHERE = "amqp://guest:guest@127.0.0.1:9/"
PATIENCE = 15.0


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One front service."""

    url: str
    session: aiohttp.ClientSession
    database_url: str

    async def submit(self, path: str = "demo/echo", **members: Any) -> str:
        key = members.pop("key", None)
        headers = {"Idempotency-Key": key} if key else {}
        async with self.session.post(
            f"{self.url}/api/{path}", json=members, headers=headers
        ) as response:
            assert response.status == 202, await response.text()
            return str((await response.json())["jobId"])

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as response:
            return response.status, orjson.loads(await response.read())

    async def fetchval(self, query: str, *args: object) -> Any:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(query, *args)
        finally:
            await connection.close()

    async def outbox_is_empty(self) -> bool:
        return bool(await self.fetchval("SELECT count(*) = 0 FROM outbox"))


@asynccontextmanager
async def open_database() -> AsyncIterator[str]:
    """Make a database with the schema, and drop it at the end."""
    server = need_setting("UKETSUKE_TEST_DATABASE_URL")
    name = f"front_{secrets.token_hex(6)}"
    await _execute(server, f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    try:
        await migrate(url)
        yield url
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database_url() -> AsyncIterator[str]:
    async with open_database() as url:
        yield url


@pytest.fixture
def amqp_url() -> str:
    return need_setting("UKETSUKE_TEST_AMQP_URL")


@asynccontextmanager
async def open_replica(
    database_url: str, amqp_url: str, folder: Path, *, broker: str = "up", **values: Any
) -> AsyncIterator[Replica]:
    """Run a replica until the block ends; it is ready, and its broker as it should be, inside."""
    given = settings(database_url=database_url, amqp_url=amqp_url, blob_dir=folder, **values)
    stop = asyncio.Event()
    async with open_front(given) as services, aiohttp.ClientSession() as session:
        served = asyncio.create_task(serve(services, stop))
        server = next(service for service in services if isinstance(service, HttpServer))
        url = f"http://127.0.0.1:{await server.port}"
        replica = Replica(url=url, session=session, database_url=database_url)

        async def is_settled() -> bool:
            return bool((await replica.get("/readyz"))[1]["broker"] == broker)

        try:
            await until(is_settled, within=PATIENCE, what=f"the broker is {broker}")
            yield replica
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE):
                await served


@pytest.fixture
async def replica(database_url: str, amqp_url: str, tmp_path: Path) -> AsyncIterator[Replica]:
    async with open_replica(database_url, amqp_url, tmp_path) as one:
        yield one


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_202_is_a_row_and_a_confirmed_knock(replica: Replica) -> None:
    """What the client holds in hand is stored, and the broker has its knock."""
    job_id = await replica.submit(payload={"n": 1})

    request = await replica.fetchval("SELECT request FROM jobs WHERE id = $1", job_id)
    assert orjson.loads(request) == {"payload": {"n": 1}}
    await until(replica.outbox_is_empty, within=PATIENCE, what="the outbox is empty")
    assert (await replica.get(f"/api/demo/status/{job_id}"))[1]["state"] == "queued"


async def test_i7_fifty_at_once_are_one_job(replica: Replica) -> None:
    """A client that retries wildly asked once."""
    ids = await asyncio.gather(*(replica.submit(payload=1, key="k") for _ in range(50)))

    assert len(set(ids)) == 1
    assert await replica.fetchval("SELECT count(*) FROM jobs") == 1


async def test_many_at_once_are_all_kept(replica: Replica) -> None:
    """They share commits and knocks, and nothing else."""
    ids = await asyncio.gather(*(replica.submit(payload=n) for n in range(300)))

    assert await replica.fetchval("SELECT count(*) FROM jobs") == len(set(ids)) == 300
    await until(replica.outbox_is_empty, within=PATIENCE, what="the outbox is empty")


async def test_jobs_of_a_key_are_kept_in_the_order_of_their_tickets(replica: Replica) -> None:
    """Whoever waits for the ticket before the next submit has an order."""
    ids = [await replica.submit(payload=n, job={"orderingKey": "k"}) for n in range(5)]

    places = [await replica.fetchval("SELECT seq FROM jobs WHERE id = $1", one) for one in ids]
    assert places == [1, 2, 3, 4, 5]


async def test_a_cancel_on_one_replica_is_seen_on_another(
    database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    """News go over the broker; what is shown is read from the database."""
    async with (
        open_replica(database_url, amqp_url, tmp_path) as one,
        open_replica(database_url, amqp_url, tmp_path) as two,
    ):
        job_id = await one.submit()
        async with two.session.ws_connect(f"{two.url}/jobs/{job_id}") as socket:
            assert orjson.loads((await socket.receive(PATIENCE)).data)["state"] == "queued"
            await one.session.delete(f"{one.url}/api/jobs/{job_id}")

            last = orjson.loads((await socket.receive(PATIENCE)).data)
            assert (last["state"], last["sequence"]) == ("cancelled", 2)
            assert (await socket.receive(PATIENCE)).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1000


async def test_without_a_broker_nothing_is_lost_and_nobody_waits(
    database_url: str, tmp_path: Path
) -> None:
    """202 at once; the knock stays in the outbox, the replica stays ready."""
    async with open_replica(database_url, NOWHERE, tmp_path, broker="degraded") as replica:
        async with asyncio.timeout(2):
            for _ in range(20):
                await replica.submit()
        assert (await replica.get("/readyz"))[0] == 200
        assert await replica.fetchval("SELECT count(*) FROM outbox") == 20


async def test_what_a_dead_replica_left_is_relayed_by_the_next(
    database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    """An accepted job waits for a broker, not for the process that accepted it."""
    async with open_replica(database_url, NOWHERE, tmp_path, broker="degraded") as replica:
        await replica.submit()
    async with open_replica(database_url, amqp_url, tmp_path) as replica:
        await until(replica.outbox_is_empty, within=PATIENCE, what="the outbox is empty")


async def test_without_a_database_the_answer_is_try_again(tmp_path: Path) -> None:
    """503 with a time to wait, never a 404; alive, not ready."""
    database = "postgres://nobody@127.0.0.1:9/nothing"
    async with open_replica(database, NOWHERE, tmp_path, broker="degraded") as replica:
        async with replica.session.post(f"{replica.url}/api/demo/echo", json={}) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert (await replica.get("/api/jobs/0193e1a0-0000-7000-8000-000000000000"))[0] == 503
        assert (await replica.get("/readyz"))[0] == 503
        assert (await replica.get("/livez"))[0] == 200


async def test_what_a_webhook_is_wanted_for_is_kept(replica: Replica) -> None:
    """The client offers it: a submit that uses it must not be refused for that."""
    wanted = ["progress", "failed", "progress"]
    async with Client(replica.url) as client:
        ticket = await client.submit(
            "demo.echo", {}, callback_url="https://example.org/hook", callback_events=wanted
        )

    row = "SELECT callback_events FROM jobs WHERE id = $1"
    assert await replica.fetchval(row, ticket.job_id) == ["progress", "failed"]


async def test_a_file_is_kept_for_the_job_that_names_it(replica: Replica) -> None:
    """Uploaded ahead, referred to, noted; one that is not there is told by pointer."""
    async with replica.session.post(f"{replica.url}/api/blobs", data="hello") as response:
        blob = await response.json()
    async with replica.session.get(replica.url + blob["url"]) as response:
        assert await response.text() == "hello"

    await replica.submit("documents/process", document=blob["reference"])
    assert await replica.fetchval("SELECT count(*) FROM blob_uses") == 1
    nowhere = {"document": "blob:0193e1a0-0000-7000-8000-000000000000"}
    async with replica.session.post(
        f"{replica.url}/api/documents/process", json=nowhere
    ) as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["pointer"] == "/document"


async def test_pages_and_filters_are_the_databases(replica: Replica) -> None:
    """The same as over the store in memory, in SQL."""
    ids = {await replica.submit(job={"tags": ["red", str(n)]}) for n in range(5)}
    await replica.submit(job={"orderingKey": "k"})
    seen: set[str] = set()
    path = "/api/jobs?limit=2&tag=red&status=pending"
    while path:
        _, page = await replica.get(path)
        seen |= {job["jobId"] for job in page["jobs"]}
        cursor = page.get("nextCursor")
        path = f"/api/jobs?limit=2&tag=red&cursor={cursor}" if cursor else ""

    assert seen == ids
    assert len((await replica.get("/api/jobs?orderingKey=k"))[1]["jobs"]) == 1
    assert (await replica.get("/api/jobs?state=completed"))[1]["jobs"] == []


async def test_a_crowd_of_readers_holds_up_no_submit(replica: Replica) -> None:
    """Whatever they wait for, they wait for it on connections of their own."""
    nobody = f"{replica.url}/api/jobs/0193e1a0-0000-7000-8000-000000000000"
    holder = await asyncpg.connect(replica.database_url)
    try:
        async with holder.transaction(), asyncio.TaskGroup() as group:
            await holder.execute("LOCK TABLE tombstones")
            crowd = [group.create_task(_ask_on(replica.session, nobody)) for _ in range(80)]
            await until(partial(_four_wait, replica), within=PATIENCE, what="the readers wait")

            assert len({await replica.submit() for _ in range(10)}) == 10
            for reader in crowd:
                reader.cancel()
    finally:
        await holder.close()


async def _four_wait(replica: Replica) -> bool:
    query = "SELECT count(*) >= 4 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(await replica.fetchval(query))


async def _ask_on(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with session.get(url) as response:
            await response.read()


async def test_a_replica_ends_in_time_with_watchers_and_requests_under_way(
    database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    """Accepted requests are answered, watchers are sent elsewhere."""
    async with aiohttp.ClientSession() as session:
        async with open_replica(database_url, amqp_url, tmp_path) as replica:
            job_id = await replica.submit()
            socket = await session.ws_connect(f"{replica.url}/jobs/{job_id}")
            await socket.receive(PATIENCE)
            closing = asyncio.create_task(socket.receive(PATIENCE))
            url = f"{replica.url}/api/demo/echo"
            under_way = [asyncio.create_task(_post(session, url)) for _ in range(50)]
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        statuses = await asyncio.gather(*under_way)

        assert (await closing).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1012
        accepted = statuses.count(202)
        assert set(statuses) <= {202, 0}  # 0: it came after the door was closed
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM jobs") == 1 + accepted
    await connection.close()


async def _post(session: aiohttp.ClientSession, url: str) -> int:
    with suppress(aiohttp.ClientError):
        async with session.post(url, json={}) as response:
            return response.status
    return 0


async def test_a_batch_is_known_to_every_replica(
    database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    """Handed in at one, cancelled job by job there, followed to its end at the other."""
    async with (
        open_replica(database_url, amqp_url, tmp_path) as one,
        open_replica(database_url, amqp_url, tmp_path) as two,
    ):
        jobs = [{"type": "demo.echo", "request": {"payload": n}} for n in range(300)]
        async with one.session.post(f"{one.url}/api/batches", json={"jobs": jobs}) as response:
            assert response.status == 202
            batch = await response.json()
        assert await one.fetchval("SELECT count(*) FROM jobs") == batch["accepted"] == 300
        async with two.session.ws_connect(two.url + batch["_links"]["socket"]) as socket:
            assert orjson.loads((await socket.receive(PATIENCE)).data)["counts"]["pending"] == 300
            wish = {"action": "cancel", "filter": {"batch": batch["batchId"]}}
            async with one.session.post(f"{one.url}/api/jobs/bulk", json=wish) as response:
                assert (await response.json())["changed"] == 300

            frame: dict[str, Any] = {"event": ""}
            while frame["event"] != "batch.completed":
                frame = orjson.loads((await socket.receive(PATIENCE)).data)
            assert (frame["counts"]["cancelled"], frame["total"]) == (300, 300)
            assert (await socket.receive(PATIENCE)).data == 1000


async def test_a_unique_job_is_one_job_at_all_replicas(
    database_url: str, amqp_url: str, tmp_path: Path
) -> None:
    """Whoever asks where, at once."""
    async with (
        open_replica(database_url, amqp_url, tmp_path) as one,
        open_replica(database_url, amqp_url, tmp_path) as two,
    ):
        wish = {"unique": {"key": "bill/7"}}
        ids = await asyncio.gather(*((one, two)[n % 2].submit(job=wish) for n in range(40)))

        assert len(set(ids)) == 1
        assert await one.fetchval("SELECT count(*) FROM jobs") == 1
