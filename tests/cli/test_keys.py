"""`uketsuke keys`: what an administrator does at the database."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from shared.contract.access import digest_of
from tests.front.test_with_real_servers import open_database
from uketsuke.cli import build

pytestmark = pytest.mark.servers


@dataclass(frozen=True, kw_only=True)
class Office:
    """A database with the schema, and the command line beside it."""

    url: str

    async def run(
        self, *words: str, code: int = 0, url: str | None = None, group: str = "keys"
    ) -> tuple[str, str]:
        env = {"UKETSUKE_DATABASE_URL": url or self.url, "COLUMNS": "200", "NO_COLOR": "1"}
        found = await asyncio.to_thread(CliRunner().invoke, build(), [group, *words], env=env)
        assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
        return found.stdout, found.stderr

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(query, *args)
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[Office]:
    async with open_database() as url:
        yield Office(url=url)


async def test_a_key_is_shown_once_and_stored_as_its_digest(office: Office) -> None:
    """Whoever reads the table can be nobody."""
    out, told = await office.run("create", "--tenant", "acme", "--scopes", "submit,read")

    shown = out.strip()
    [row] = await office.fetch("SELECT * FROM api_keys WHERE digest = $1", digest_of(shown))
    assert row["scopes"] == ["read", "submit"]
    assert str(row["id"]) in told
    everything = await office.fetch("SELECT api_keys::text FROM api_keys")
    assert not any(shown in line["api_keys"] for line in everything)


async def test_keys_are_listed_and_revoked(office: Office) -> None:
    """Each with what it is for, and how it stands."""
    out, _ = await office.run(
        "create", "--tenant", "beta", "--name", "app", "--expires", "90d", "--json"
    )
    made = json.loads(out)

    listed, _ = await office.run("list", "--tenant", "beta")
    assert listed.startswith(made["id"])
    assert "  beta  app  cancel,operate,read,submit  live until " in listed
    assert made["key"] not in listed

    await office.run("revoke", made["id"])
    await office.run("revoke", made["id"])  # harmless
    [line] = (await office.run("list", "--tenant", "beta", "--json"))[0].splitlines()
    assert json.loads(line)["is_live"] is False
    assert "acme" not in line


@pytest.mark.parametrize(
    "words",
    [
        ("create", "--tenant", "No Name"),
        ("create", "--tenant", "acme", "--scopes", "write"),
        ("create", "--tenant", "acme", "--expires", "2001-01-01T00:00:00Z"),
        ("create", "--tenant", "acme", "--expires", "0"),
        ("create", "--tenant", "acme", "--name", ""),
        ("create", "--tenant", "acme", "--name", "a\nb"),
        ("create",),
        ("list", "--tenant", "No Name"),
    ],
)
async def test_a_slip_of_the_pen_makes_no_key(office: Office, words: tuple[str, ...]) -> None:
    """One line says what is wrong, and nothing is stored."""
    before = await office.fetch("SELECT count(*) FROM api_keys")

    _, told = await office.run(*words, code=2)

    assert told
    assert "Traceback" not in told
    assert await office.fetch("SELECT count(*) FROM api_keys") == before


async def test_what_is_no_key_cannot_be_revoked(office: Office) -> None:
    """A wrong id must not look like a key that has ended."""
    for word in ("nonsense", "00000000-0000-7000-8000-000000000000"):
        _, told = await office.run("revoke", word, code=4)
        assert word in told


async def test_a_tenant_is_told_what_it_may_use(office: Office) -> None:
    """The whole of it each time: what is not named is not limited any more."""
    await office.run("set", "gamma", "--rate", "50", "--streams", "100", group="tenants")
    await office.run("set", "delta", "--queued", "10000", group="tenants")

    listed = (await office.run("list", group="tenants"))[0].splitlines()
    assert "gamma  rate=50 burst=100 streams=100" in listed
    assert "delta  queued=10000" in listed
    await office.run("set", "gamma", group="tenants")
    lines = (await office.run("list", "--json", group="tenants"))[0].splitlines()
    assert {"tenant": "gamma"} in map(json.loads, lines)

    for words in (("gamma", "--rate", "0"), ("gamma", "--burst", "5"), ("No Name",)):
        await office.run("set", *words, code=2, group="tenants")


def test_the_database_may_stand_in_a_file_of_secrets(office: Office, tmp_path: Path) -> None:
    """As in a cluster: what an environment says is shown by every crash."""
    (tmp_path / "uketsuke_database_url").write_text(office.url)
    env = {"UKETSUKE_DATABASE_URL": None, "UKETSUKE_SECRETS_DIR": str(tmp_path)}

    found = CliRunner().invoke(build(), ["keys", "create", "--tenant", "filed"], env=env)

    assert found.exit_code == 0
    assert digest_of(found.stdout.strip()) is not None


def test_no_address_at_all_is_one_mistake_with_its_name() -> None:
    """Nothing is tried at a database that nobody has named."""
    env = {"UKETSUKE_DATABASE_URL": None, "UKETSUKE_SECRETS_DIR": None}

    found = CliRunner().invoke(build(), ["keys", "list"], env=env)

    assert found.exit_code == 2
    assert "UKETSUKE_DATABASE_URL: Field required" in found.stderr


async def test_a_database_that_is_none_is_one_line(office: Office) -> None:
    """Away, or without the schema: the line says what to look at."""
    _, told = await office.run("list", code=3, url="postgresql://127.0.0.1:9/none")
    assert told.startswith("uketsuke: UKETSUKE_DATABASE_URL: ")

    _, told = await office.run("list", code=3, url="nonsense")
    assert told.startswith("uketsuke: UKETSUKE_DATABASE_URL: ")

    bare = urlunsplit(urlsplit(office.url)._replace(path="/postgres"))
    _, told = await office.run("list", code=2, url=bare)
    assert "python -m shared.store.migrate" in told
