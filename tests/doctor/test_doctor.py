"""The doctor finds what is wrong with a set-up, says what to change, and harms nothing."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiormq
import asyncpg
import pytest

from deploy.local.stack import Stack
from shared.broker.provision import provide
from shared.contract.findings import Finding, Health
from shared.doctor import examine
from tests.house.sources import ROOT
from tests.support.house import House, open_house
from tests.support.object_store import open_object_server

pytestmark = pytest.mark.servers

LOSSY: Final = {"fsync", "full_page_writes", "synchronous_commit"}
"""What the servers of the tests risk, for speed."""

Set = Callable[..., None]


@pytest.fixture(scope="module")
async def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A database with its schema, and a virtual host with its queues."""
    async with open_house(stack, tmp_path_factory.mktemp("doctor")) as house:
        await provide(house.amqp_url, ["default"])
        yield house


@pytest.fixture
def use(place: House, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set what the services would read; one call after another changes single settings."""

    def use(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"UKETSUKE_{name.upper()}", value)

    for name in [name for name in os.environ if name.startswith("UKETSUKE_")]:
        monkeypatch.delenv(name)
    use(
        database_url=place.database_url,
        amqp_url=place.amqp_url,
        blob_dir=str(place.folder / "blobs"),
        max_connections="100",
    )
    return use


async def wrong() -> dict[str, Finding]:
    """Examine; give what is wrong besides what the servers of the tests always risk."""
    return {
        one.what: one
        for one in await examine()
        if one.health is Health.WRONG and one.what.removeprefix("database: ") not in LOSSY
    }


async def test_a_sound_house_lacks_nothing_but_its_workers(place: House, use: Set) -> None:
    """And once one lives, not even that; the doctor has left nothing behind."""
    use(pools="default")
    assert set(await wrong()) == {"job types: living workers"}

    back = await place.back()
    assert await wrong() == {}
    assert await back.terminate() == 0
    assert await place.fetchval("SELECT count(*) FROM outbox") == 0
    assert "jobs.doctor" not in place.stack.broker.ctl("list_queues", "-p", _vhost(place), "name")


async def test_risks_of_the_database_are_named_with_their_cure(use: Set) -> None:
    """The servers of the tests may lose what they have accepted, and that is said."""
    use()
    found = {one.what: one for one in await examine() if one.health is Health.WRONG}

    assert "may destroy the database" in found["database: fsync"].found
    assert "ALTER SYSTEM SET fsync = on" in found["database: fsync"].change


async def test_a_database_without_its_schema(place: House, use: Set) -> None:
    """Nothing is migrated by looking."""
    name = f"bare_{secrets.token_hex(6)}"
    await place.execute(f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(place.database_url)._replace(path=f"/{name}"))
    try:
        use(database_url=url)
        found = await wrong()
        assert "0001_jobs" in found["database: migrations"].found
        assert "shared.store.migrate" in found["database: migrations"].change
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT to_regclass('migrations')") is None
        await connection.close()
    finally:
        await place.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_a_queue_with_other_arguments(place: House, use: Set) -> None:
    """Whoever made it, the services would be refused; it is named, and left as it is."""
    line = await aiormq.connect(place.amqp_url)
    channel = await line.channel()
    await channel.queue_delete("jobs.default.low")
    await channel.queue_declare("jobs.default.low", durable=True)
    try:
        use()
        found = await wrong()
        assert "PRECONDITION_FAILED" in found["broker: queue jobs.default.low"].found
        assert "Delete the queue jobs.default.low" in found["broker: queue jobs.default.low"].change
        assert "broker: queue jobs.default.high" not in found
    finally:
        await channel.queue_delete("jobs.default.low")
        await line.close()
        await provide(place.amqp_url, ["default"])


async def test_a_user_of_the_broker_who_may_not_knock(place: House, use: Set) -> None:
    """He may look, and that is all."""
    user, ctl = f"looker-{secrets.token_hex(4)}", place.stack.broker.ctl
    ctl("add_user", user, "of-the-tests")
    ctl("set_permissions", "-p", _vhost(place), user, "^$", "^$", ".*")
    try:
        parts = urlsplit(place.amqp_url)
        host = f"{user}:of-the-tests@{parts.hostname}:{parts.port}"
        use(amqp_url=urlunsplit(parts._replace(netloc=host)))
        found = await wrong()
        assert "ACCESS_REFUSED" in found["broker: right to knock"].found
        assert "UKETSUKE_DECLARE_TOPOLOGY=no" in found["broker: queue jobs.default.high"].change
        assert "of-the-tests" not in str(found)
    finally:
        ctl("delete_user", user)


async def test_queues_that_nobody_has_made(use: Set) -> None:
    """Services that only look for them would wait for ever."""
    use(declare_topology="no", pools="default,elsewhere")
    found = await wrong()

    assert "provision" in found["broker: queue jobs.elsewhere.normal"].change
    assert "broker: queue jobs.default.normal" not in found


async def test_a_policy_that_drops_knocks(place: House, use: Set) -> None:
    """As the broker lists it; one about other queues is nobody's trouble."""
    ctl, vhost = place.stack.broker.ctl, _vhost(place)
    ctl("set_policy", "-p", vhost, "short", "^jobs", '{"max-length":10}', "--apply-to", "queues")
    ctl("set_policy", "-p", vhost, "other", "^theirs", '{"max-length":10}')
    try:
        use()
        listed = ctl("list_policies", "-p", vhost, "--formatter", "json").encode()
        found = {o.what: o for o in await examine(listed) if o.health is Health.WRONG}
        assert "max-length" in found["broker: policy short"].found
        assert "broker: policy other" not in found
    finally:
        ctl("clear_policy", "-p", vhost, "short")


async def test_clocks_that_disagree(use: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine were half a minute ahead."""
    from time import time  # noqa: PLC0415  the true one

    use()
    monkeypatch.setattr("shared.store.examine.time.time", lambda: time() + 30)
    found = (await wrong())["clocks: database and here"]
    assert found.found.startswith(("29.", "30."))


async def test_servers_that_do_not_answer(use: Set) -> None:
    """Both are named, with what to look at; the rest is looked at all the same."""
    use(
        database_url="postgresql://u:hidden@127.0.0.1:1/x",
        amqp_url="amqp://u:hidden@127.0.0.1:1/",
    )
    found = await wrong()

    assert "UKETSUKE_DATABASE_URL" in found["database"].change
    assert "UKETSUKE_AMQP_URL" in found["broker"].change
    assert "hidden" not in str(found)


async def test_what_is_wrong_here(use: Set, tmp_path: Path) -> None:
    """A folder that cannot be written to, a slip of the pen, more connections than files."""
    (tmp_path / "file").write_text("in the way")
    use(
        blob_dir=str(tmp_path / "file" / "blobs"),
        leese="10",
        max_connections="10000000",
        job_types="tests.support.trials",
    )
    found = await wrong()

    assert {"here: folder of blobs", "settings: UKETSUKE_LEESE", "here: open files"} <= set(found)
    assert "trials.try" in found["job types: handlers"].found
    assert "no worker in pool default" in found["job types: living workers"].found


async def test_a_bucket_is_tried_out(use: Set) -> None:
    """What can be put, listed, read and deleted is sound, and nothing is left of the trial."""
    with open_object_server() as server:
        use(
            blob_url=f"s3://{server.bucket}/desk",
            blob_endpoint=server.endpoint,
            blob_region="us-east-1",
            blob_access_key="test",
            blob_secret_key="hidden",
        )
        assert "blobs: bucket" not in await wrong()
        assert server.names() == []

        use(blob_url="s3://nobody-made-it")
        found = await wrong()

    assert "s3://nobody-made-it" in found["blobs: bucket"].found
    assert "UKETSUKE_BLOB_URL" in found["blobs: bucket"].change
    assert "hidden" not in str(found)


def test_the_command_prints_and_its_exit_code_tells() -> None:
    """For scripts: a document, and 1 where something is wrong."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UKETSUKE_")}
    asked = subprocess.run(
        [sys.executable, "-m", "uketsuke", "doctor", "--json"],
        check=False,
        capture_output=True,
        env=environment,
        cwd=ROOT,
        text=True,
    )
    document = json.loads(asked.stdout)

    assert asked.returncode == 1
    assert document["isSound"] is False
    assert "UKETSUKE_DATABASE_URL" in document["findings"][0]["found"]


def _vhost(place: House) -> str:
    return urlsplit(place.amqp_url).path.removeprefix("/")
