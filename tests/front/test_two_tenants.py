"""Two tenants, every route, every verb, every stream: what is somebody else's is not there.

The stranger asks for what is the owner's and for what never was; the two answers are compared
byte for byte. A route that is new is in the sweep if its address names an ``{id}``; any other
has to be given a test of its own here, or the list is incomplete and the first test fails.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final
from uuid import uuid4

import asyncpg
import orjson
import pytest
from aiohttp import hdrs

from front_service.routes import ROUTES
from shared.contract.access import EVERYTHING, digest_of, write_key
from shared.runtime.clock import fresh_job_id
from shared.store.ledgers import KeyLedger
from shared.store.pool import open_pool
from tests.front.test_access import bearer
from tests.front.test_with_real_servers import NOWHERE, Replica, open_database, open_replica

VERBS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
QUERIES: Final = ("", "?after=1", "?wait=1&after=0", "?redirect=true", "?token=x")

OF_THE_PROCESS: Final = (
    *("/livez", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json"),
    *("/docs", "/docs/{file}", "/api/job-types"),
)

WITHOUT_ID: Final = {
    *(f"GET {path}" for path in OF_THE_PROCESS),
    "GET /api/socket",
    "GET /api/jobs",
    "GET /api/dead-letters",
    "GET /api/stats",
    "POST /api/jobs/bulk",
    "POST /api/batches",
    "POST /api/blobs",
    "POST /api/{collection}/{action}",
}
"""Routes that name nobody's job: each is asked in a test of its own below."""

SWEPT: Final = sorted({route.path for route in ROUTES if "{id}" in route.path})
STREAMS: Final = {route.path for route in ROUTES if route.is_stream and "{id}" in route.path}

owned = pytest.mark.servers


def test_no_route_is_left_out() -> None:
    """A new route must be swept, or say here how it is held to the rule."""
    named = {f"{route.method} {route.path}" for route in ROUTES if "{id}" not in route.path}

    assert named == WITHOUT_ID
    assert len(SWEPT) >= 13
    assert len(STREAMS) >= 4


@dataclass(frozen=True, kw_only=True)
class Two:
    """A front with two tenants; what there is, is the owner's."""

    replica: Replica
    owner: dict[str, str]
    stranger: dict[str, str]
    newcomer: dict[str, str]  # of a third tenant, who never submits anything
    jobs: dict[str, str]
    blob: str
    batch: str

    def theirs(self, path: str) -> set[str]:
        """Name what of the owner's an address of that kind could mean."""
        if "blobs" in path:
            return {self.blob}
        return {self.batch} if "batches" in path else set(self.jobs.values())

    async def ask(
        self, method: str, path: str, headers: dict[str, str], **given: Any
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask with a TrackID of our own; give all that comes back but the time of day."""
        async with self.replica.session.request(
            method,
            self.replica.url + path,
            headers={"X-Track-ID": "same", "Idempotency-Key": uuid4().hex}
            | headers
            | given.pop("more", {}),
            allow_redirects=False,
            **given,
        ) as response:
            told = [(k, v) for k, v in response.headers.items() if k != hdrs.DATE]
            return response.status, sorted(told), await response.read()

    async def document(self, method: str, path: str, headers: dict[str, str], **given: Any) -> Any:
        status, _, body = await self.ask(method, path, headers, **given)
        assert status < 300, body
        return orjson.loads(body)


@pytest.fixture(scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(open_database())
        owner, stranger, newcomer = [
            await a_key(url, name) for name in ("owner", "stranger", "newcomer")
        ]
        folder: Path = tmp_path_factory.mktemp("blobs")
        replica = await stack.enter_async_context(
            open_replica(url, NOWHERE, folder, broker="degraded", auth="required")
        )
        bare = Two(
            replica=replica,
            owner=owner,
            stranger=stranger,
            newcomer=newcomer,
            jobs={},
            blob="",
            batch="",
        )
        uploaded = await bare.document("POST", "/api/blobs", owner, data=b"secret")
        jobs = {name: await a_job(bare) for name in ("live", "failed", "completed", "gone")}
        await bring_to(url, jobs)
        batch = await bare.document("POST", "/api/batches", owner, json=A_BATCH)
        yield replace(bare, jobs=jobs, blob=uploaded["blobId"], batch=batch["batchId"])


A_BATCH: Final = {
    "jobs": [{"type": "demo.echo", "request": {"payload": "secret"}, "job": {"tags": ["batch"]}}]
}


async def a_key(url: str, tenant: str) -> dict[str, str]:
    shown = write_key(token_bytes(32))
    async with open_pool(url, size=1, name="test") as pool:
        digest = digest_of(shown)
        assert digest is not None
        await KeyLedger(pool).add(uuid4(), digest, tenant=tenant, name="app", scopes=EVERYTHING)
    return bearer(shown)


async def a_job(two: Two) -> str:
    body = {"payload": "secret", "job": {"orderingKey": "theirs", "tags": ["theirs"]}}
    ticket = await two.document("POST", "/api/demo/echo", two.owner, json=body)
    return str(ticket["jobId"])


async def bring_to(url: str, jobs: dict[str, str]) -> None:
    """Let the jobs have come to their ends."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "UPDATE jobs SET state = 'failed', blocks = true, completed_at = now(),"
            " error_code = 'secret', error = 'secret' WHERE id = $1",
            jobs["failed"],
        )
        await connection.execute(
            "UPDATE jobs SET state = 'completed', result = '\"secret\"', completed_at = now()"
            " WHERE id = $1",
            jobs["completed"],
        )
        await connection.execute(
            "WITH gone AS (DELETE FROM jobs WHERE id = $1 RETURNING tenant, id)"
            " INSERT INTO tombstones (tenant, job_id) SELECT tenant, id FROM gone",
            jobs["gone"],
        )
    finally:
        await connection.close()


@owned
@pytest.mark.parametrize("path", SWEPT)
async def test_i11_a_foreign_id_and_one_that_never_was_are_the_same(two: Two, path: str) -> None:
    """Whatever is asked of it, by whatever verb: no answer tells that there is something."""
    theirs = two.theirs(path)
    asked = 0
    for verb in VERBS:
        for query in QUERIES:
            unknown = await two.ask(verb, _at(path, str(fresh_job_id())) + query, two.stranger)
            for one in theirs:
                found = await two.ask(verb, _at(path, one) + query, two.stranger)
                assert found == unknown
                asked += 1
            is_token = query == "?token=x" and verb == "GET" and path in STREAMS
            assert unknown[0] in ((401,) if is_token else (400, 404, 405, 426))
    assert asked >= len(VERBS) * len(QUERIES)


@owned
async def test_i11_a_foreign_socket_is_refused_like_one_of_nothing(two: Two) -> None:
    """Before the upgrade, and so are events that somebody would resume."""
    for path in STREAMS:
        more = {"Last-Event-ID": "1"} if "events" in path else _UPGRADE
        unknown = await two.ask("GET", _at(path, str(fresh_job_id())), two.stranger, more=more)
        assert unknown[0] == 404
        for one in two.theirs(path):
            assert await two.ask("GET", _at(path, one), two.stranger, more=more) == unknown


@owned
async def test_i11_a_token_of_one_tenant_opens_nothing_of_anothers(two: Two) -> None:
    """Whoever may mint, mints for his own jobs; and a token says whose it is."""
    mine = (await two.document("POST", "/api/demo/echo", two.stranger, json={}))["jobId"]
    minted = await two.document("POST", f"/api/jobs/{mine}/tokens", two.stranger)
    query = f"?token={minted['token']}"
    for path in STREAMS:
        more = {} if "events" in path else _UPGRADE
        unknown = await two.ask("GET", _at(path, str(fresh_job_id())) + query, {}, more=more)
        assert unknown[0] == 404
        for one in two.theirs(path):
            assert await two.ask("GET", _at(path, one) + query, {}, more=more) == unknown
    said = await on_a_socket(two, {}, query, {"op": "subscribe", "jobs": [two.jobs["live"]]})
    assert "unknown_job" in [one.get("code") for one in said]
    assert {"event": "subscribed", "jobs": []} in said


@owned
@pytest.mark.parametrize("op", ["subscribe", "cancel"])
async def test_i11_a_foreign_job_is_unknown_on_a_socket_for_many(two: Two, op: str) -> None:
    """By name like one that never was, and by its tag there is none."""
    never = str(fresh_job_id())
    told = [
        [
            {name: one[name] for name in one if name != "jobId"}
            for one in await on_a_socket(two, two.stranger, "", {"op": op, "jobs": [job_id]})
        ]
        for job_id in (never, *two.jobs.values())
    ]
    assert told == [told[0]] * len(told)
    assert "unknown_job" in [one.get("code") for one in told[0]]

    by_tag = await on_a_socket(two, two.newcomer, "", {"op": "subscribe", "tag": "theirs"})
    assert by_tag == [{"event": "subscribed", "jobs": []}, _DONE]


@owned
async def test_i11_a_foreign_batch_is_unknown_on_a_socket_for_many(two: Two) -> None:
    """Like one that never was, to another tenant and to whoever has a token; its owner follows."""
    mine = (await two.document("POST", "/api/demo/echo", two.stranger, json={}))["jobId"]
    minted = await two.document("POST", f"/api/jobs/{mine}/tokens", two.stranger)
    for headers, query in ((two.stranger, ""), ({}, f"?token={minted['token']}")):
        told = [
            [
                {name: said[name] for name in said if name != "batchId"}
                for said in await on_a_socket(
                    two, headers, query, {"op": "subscribe", "batch": batch_id}
                )
            ]
            for batch_id in (str(fresh_job_id()), two.batch)
        ]
        assert told[0] == told[1]
        assert [said.get("event") for said in told[0]] == ["error", "unsubscribed"]

    hers = await on_a_socket(two, two.owner, "", {"op": "subscribe", "batch": two.batch})
    assert hers[0]["event"] == "subscribed"
    assert (hers[0]["batch"], len(hers[0]["jobs"])) == (two.batch, 1)


async def on_a_socket(
    two: Two, headers: dict[str, str], query: str, command: dict[str, Any]
) -> list[dict[str, Any]]:
    """Say *command*, and after it something harmless; give all that is answered to both."""
    url = f"{two.replica.url}/api/socket{query}"
    said: list[dict[str, Any]] = []
    async with two.replica.session.ws_connect(url, headers=headers) as socket:
        for one in (command, {"op": "unsubscribe", "id": "done"}):
            await socket.send_json(one)
        while not said or said[-1].get("id") != "done":
            said.append(await socket.receive_json(timeout=10))
    return said


@owned
async def test_i11_the_owner_finds_everything_as_it_was(two: Two) -> None:
    """The sweep would pass if nothing were there; and no verb of the stranger changed a thing."""
    states = {
        name: (await two.document("GET", f"/api/jobs/{one}", two.owner))["state"]
        for name, one in two.jobs.items()
        if name != "gone"
    }

    assert states == {"live": "queued", "failed": "failed", "completed": "completed"}
    assert (await two.ask("GET", f"/api/jobs/{two.jobs['gone']}", two.owner))[0] == 410
    assert (await two.ask("GET", f"/api/blobs/{two.blob}", two.owner))[2] == b"secret"
    batch = await two.document("GET", f"/api/batches/{two.batch}", two.owner)
    assert (batch["status"], batch["total"]) == ("processing", 1)


@owned
async def test_i11_a_list_shows_ones_own_only(two: Two) -> None:
    """Whatever is filtered for, and from wherever it is to go on."""
    cursor = (await two.document("GET", "/api/jobs?limit=1", two.owner))["nextCursor"]
    filters = ("tag=theirs", "orderingKey=theirs", "status=failed", f"batch={two.batch}")
    lists = [f"/api/jobs?{one}" for one in (*filters, f"cursor={cursor}")]
    for path in ("/api/jobs", *lists, "/api/dead-letters", "/api/dead-letters?tag=theirs"):
        assert (await two.document("GET", path, two.owner))["jobs"]
        assert (await two.document("GET", path, two.newcomer))["jobs"] == []
        mine = (await two.document("GET", path, two.stranger))["jobs"]
        assert [job for job in mine if job["jobId"] in two.jobs.values()] == []


@owned
async def test_i11_the_counts_are_ones_own(two: Two) -> None:
    """Counted for all tenants at once, and told to each apart."""
    hers = await two.document("GET", "/api/stats", two.owner)
    his = await two.document("GET", "/api/stats", two.newcomer)

    assert "demo.echo" in str(hers)
    assert "theirs" in str(hers)
    assert "theirs" not in str(his)
    assert not any(his[name] for name in his if name != "asOf"), his


@owned
@pytest.mark.parametrize("action", ["replay", "cancel", "delete"])
async def test_i11_many_at_once_are_ones_own(two: Two, action: str) -> None:
    """By ids they are as unknown as what never was; by a filter there are none."""
    theirs = [job_id for name, job_id in two.jobs.items() if name != "gone"]
    wishes: list[dict[str, Any]] = [
        {"ids": theirs},
        {"ids": [str(fresh_job_id()) for _ in theirs]},
    ]
    told = [
        await two.document("POST", "/api/jobs/bulk", two.newcomer, json={"action": action} | wish)
        for wish in wishes
    ]
    for one in told:
        del one["asOf"]
    assert told[0] == told[1]
    assert told[0]["unknown"] == len(theirs)
    for wish in ({}, {"tag": "theirs"}, {"batch": two.batch}):
        body = {"action": action, "filter": wish}
        answer = await two.document("POST", "/api/jobs/bulk", two.newcomer, json=body)
        assert (answer["matched"], answer["changed"], answer["sample"]) == (0, 0, [])
    assert (await two.document("GET", f"/api/jobs/{two.jobs['live']}", two.owner))[
        "state"
    ] == "queued"


@owned
async def test_i11_the_names_that_callers_give_are_each_tenants_own(two: Two) -> None:
    """One's Idempotency-Key and ordering key say nothing, and do nothing, about another's."""
    same = {"more": {"Idempotency-Key": "a name"}}
    body = {"payload": 1, "job": {"orderingKey": "theirs"}}
    hers = await two.document("POST", "/api/demo/echo", two.owner, json=body, **same)
    his = await two.document("POST", "/api/demo/echo", two.stranger, json=body, **same)
    other = await two.document("POST", "/api/demo/echo", two.stranger, json={"payload": 2})

    assert len({hers["jobId"], his["jobId"], other["jobId"]}) == 3
    place = "SELECT seq FROM jobs WHERE id = $1"
    assert await two.replica.fetchval(place, his["jobId"]) == 1  # the head of a lane of its own
    assert await two.replica.fetchval(place, hers["jobId"]) > 1


@owned
async def test_i11_a_unique_key_is_each_tenants_own(two: Two) -> None:
    """Whoever holds it, another tenant's job of the same key is a job of its own."""
    unique = {"key": "a-name", "onConflict": "reject"}
    body = {"payload": 1, "job": {"unique": unique}}
    hers = await two.document("POST", "/api/demo/echo", two.owner, json=body)
    his = await two.document("POST", "/api/demo/echo", two.stranger, json=body)

    assert hers["jobId"] != his["jobId"]
    status, _, refusal = await two.ask("POST", "/api/demo/echo", two.stranger, json=body)
    assert status == 409
    assert orjson.loads(refusal)["jobId"] == his["jobId"]


@owned
async def test_i11_the_name_of_a_batch_is_each_tenants_own(two: Two) -> None:
    """And in its places a foreign file is as unknown as one that never was."""
    same = {"more": {"Idempotency-Key": "a batch"}}
    hers = await two.document("POST", "/api/batches", two.owner, json=A_BATCH, **same)
    his = await two.document("POST", "/api/batches", two.stranger, json=A_BATCH, **same)
    assert hers["batchId"] != his["batchId"]
    assert hers["jobs"][0]["jobId"] != his["jobs"][0]["jobId"]

    told = []
    for blob in (two.blob, str(fresh_job_id())):
        entry = {"type": "documents.process", "request": {"document": f"blob:{blob}"}}
        status, _, body = await two.ask(
            "POST", "/api/batches", two.stranger, json={"jobs": [entry]}
        )
        told.append((status, body.replace(blob.encode(), b"it")))
    assert told[0] == told[1]
    assert told[0][0] == 422


@owned
async def test_i11_a_foreign_file_cannot_be_used(two: Two) -> None:
    """By its reference a job would bring it back; it is refused as one that never was."""
    mine = (await two.document("POST", "/api/blobs", two.stranger, data=b"mine"))["blobId"]
    told = {}
    for name, blob in (("foreign", two.blob), ("unknown", str(fresh_job_id()))):
        status, headers, body = await two.ask(
            "POST", "/api/documents/process", two.stranger, json={"document": f"blob:{blob}"}
        )
        told[name] = status, headers, body.replace(blob.encode(), b"it")

    assert told["foreign"] == told["unknown"]
    assert told["foreign"][0] == 422
    assert (await two.ask("GET", f"/api/blobs/{mine}", two.owner))[0] == 404


@owned
async def test_i11_what_is_told_of_the_process_names_nobody(two: Two) -> None:
    """Figures of all tenants together; neither ids nor names nor what they wrote."""
    for path in OF_THE_PROCESS:
        status, _, body = await two.ask("GET", path.format(file="docs.css"), two.stranger)
        assert status == 200
        for word in (b"secret", b"theirs", *map(str.encode, two.jobs.values())):
            assert word not in body


def _at(path: str, one: str) -> str:
    return path.format(id=one, collection="demo", action="echo")


_DONE: Final = {"event": "unsubscribed", "jobs": [], "id": "done"}

_UPGRADE: Final = {
    hdrs.CONNECTION: "Upgrade",
    hdrs.UPGRADE: "websocket",
    hdrs.SEC_WEBSOCKET_VERSION: "13",
    hdrs.SEC_WEBSOCKET_KEY: "dGhlIHNhbXBsZSBub25jZQ==",
}
