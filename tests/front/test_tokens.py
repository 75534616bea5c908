"""Read tokens: one job, for a while, on streams only."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from front_service.refusals import BadToken
from front_service.token_keys import token_keys
from front_service.tokens import LONGEST_LIFE, MARK, Tokens
from shared.contract.errors import OverQuota
from shared.contract.ids import THE_TENANT, JobId
from shared.contract.states import State
from shared.runtime.settings import BadSettings, FrontSettings, read_settings
from tests.front.desk import TOKEN_KEY, Desk, settings, until
from tests.support.builders import a_job_id, a_tenant

KEYS = [b"k" * 32]


def tampered(text: str) -> list[str]:
    """Turn one bit of every byte of a token, one after the other."""
    signed = base64.urlsafe_b64decode(text.removeprefix(MARK))
    changed = [
        signed[:at] + bytes((signed[at] ^ 1,)) + signed[at + 1 :] for at in range(len(signed))
    ]
    return [MARK + base64.urlsafe_b64encode(one).decode() for one in changed]


class TestTokens:
    def test_a_token_says_whose_which_and_until_when(self) -> None:
        """Nothing is looked up: a replica needs the key, and no database."""
        tenant, job_id = a_tenant(), a_job_id()
        text, grant = Tokens(KEYS, now=lambda: 1_000.0).mint(tenant, job_id, 60)

        assert Tokens(KEYS, now=lambda: 1_059.0).read(text) == grant
        assert (grant.tenant, grant.job_id, grant.until) == (tenant, job_id, 1_060)

    def test_it_ends(self) -> None:
        """To the second."""
        text, _ = Tokens(KEYS, now=lambda: 1_000.0).mint(THE_TENANT, a_job_id(), 60)

        with pytest.raises(BadToken):
            Tokens(KEYS, now=lambda: 1_060.0).read(text)

    def test_no_byte_of_it_can_be_changed(self) -> None:
        """Neither the job, nor the end, nor the signature."""
        tokens = Tokens(KEYS)
        text, _ = tokens.mint(THE_TENANT, a_job_id(), 60)

        for wrong in [*tampered(text), text[:-1], text + "=", text + "A", text[6:], "", MARK, "é"]:
            with pytest.raises(BadToken):
                tokens.read(wrong)

    def test_a_key_can_be_replaced_while_tokens_live(self) -> None:
        """The new one signs, the old one is believed; a foreign one is not."""
        old, new = Tokens([b"o" * 32]), Tokens([b"n" * 32, b"o" * 32])
        text, grant = old.mint(THE_TENANT, a_job_id(), 60)

        assert new.read(text) == grant
        with pytest.raises(BadToken):
            old.read(new.mint(THE_TENANT, a_job_id(), 60)[0])

    def test_one_token_opens_few_streams(self) -> None:
        """It may have been passed on to anybody."""
        tokens = Tokens(KEYS)
        _, grant = tokens.mint(THE_TENANT, a_job_id(), 60)
        opened = [tokens.stream(grant) for _ in range(20)]
        for one in opened:
            one.__enter__()

        with pytest.raises(OverQuota), tokens.stream(grant):
            pass
        opened[0].__exit__(None, None, None)
        with tokens.stream(grant):
            pass


class TestKeys:
    def test_a_key_is_made_once_and_for_all_replicas(self, tmp_path: Path) -> None:
        """And nobody but its owner can read it."""
        given = settings(blob_dir=tmp_path / "blobs")

        [first], [second] = token_keys(given), token_keys(given)

        assert first == second
        assert len(first) == 32
        [file] = (tmp_path / "blobs").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600

    def test_a_key_that_cannot_be_kept_is_good_for_this_process(self, tmp_path: Path) -> None:
        """Half a file, or no folder: a warning, and a start."""
        (tmp_path / "read-tokens.key").write_bytes(b"half")
        (tmp_path / "file").touch()

        for folder in (tmp_path, tmp_path / "file"):
            [first], [second] = (token_keys(settings(blob_dir=folder)) for _ in "12")
            assert first != second

    def test_beside_a_bucket_no_key_is_kept(self, tmp_path: Path) -> None:
        """The folder is then of one machine alone: replicas would each make a key of their own."""
        given = settings(blob_dir=tmp_path / "blobs", blob_url="s3://desk")

        [first], [second] = token_keys(given), token_keys(given)

        assert first != second
        assert not (tmp_path / "blobs").exists()

    def test_keys_of_the_settings_are_taken_as_they_are(self) -> None:
        """And are never printed."""
        given = settings(token_keys=f"{'a' * 32}, {'b' * 40}")

        assert token_keys(given) == [b"a" * 32, b"b" * 40]
        assert "aaa" not in repr(given)

    def test_a_short_key_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It could be guessed; the text says which setting it is, not what stands there."""
        for name in ("DATABASE_URL", "AMQP_URL"):
            monkeypatch.setenv(f"UKETSUKE_{name}", "x")
        monkeypatch.setenv("UKETSUKE_TOKEN_KEYS", "guessable")

        with pytest.raises(BadSettings, match="UKETSUKE_TOKEN_KEYS: ") as refusal:
            read_settings(FrontSettings)
        assert "guessable" not in str(refusal.value)


async def mint(desk: Desk, job_id: JobId, **options: Any) -> tuple[int, Any]:
    async with desk.session.post(f"{desk.url}/api/jobs/{job_id}/tokens", **options) as response:
        return response.status, await response.json()


async def token_of(desk: Desk, job_id: JobId, **asked: int) -> str:
    status, content = await mint(desk, job_id, json=asked)
    assert status == 201
    return str(content["token"])


class TestMinting:
    async def test_a_token_comes_with_the_addresses_it_opens(self, desk: Desk) -> None:
        """What a page needs, and for how long it is good."""
        job_id = await desk.submit()

        status, content = await mint(desk, job_id)

        assert status == 201
        assert content["jobId"] == str(job_id)
        assert content["expiresAt"].endswith("Z")
        assert content["_links"] == {
            "events": f"/api/jobs/{job_id}/events?token={content['token']}",
            "socket": f"/jobs/{job_id}?token={content['token']}",
        }

    @pytest.mark.parametrize(
        "asked",
        [{"ttlSeconds": 0}, {"ttlSeconds": LONGEST_LIFE + 1}, {"ttlSeconds": "9"}, {"x": 1}],
    )
    async def test_a_wish_that_cannot_be_granted_is_refused(
        self, desk: Desk, asked: dict[str, object]
    ) -> None:
        """A token for a day would be a key."""
        status, content = await mint(desk, await desk.submit(), json=asked)

        assert (status, content["code"]) == (422, "invalid")
        assert content["errors"][0]["pointer"] == "/" + next(iter(asked))

    async def test_there_is_none_for_an_unknown_or_gone_job(self, desk: Desk) -> None:
        """As on every other route."""
        job_id = await desk.submit()
        desk.store.forget(job_id)

        assert (await mint(desk, job_id))[0] == 410
        assert (await mint(desk, a_job_id()))[0] == 404

    async def test_it_opens_nothing_but_streams(self, desk: Desk) -> None:
        """In development everything is open; so this shows only that it is no parameter."""
        job_id = await desk.submit()
        token = await token_of(desk, job_id)

        async with desk.session.get(f"{desk.url}/api/jobs?token={token}") as response:
            assert response.status == 400


Open = Callable[[Desk, JobId, str], Any]


def by_query(desk: Desk, job_id: JobId, token: str) -> Any:
    return desk.session.ws_connect(f"{desk.url}/jobs/{job_id}?token={token}")


def by_subprotocol(desk: Desk, job_id: JobId, token: str) -> Any:
    return desk.session.ws_connect(f"{desk.url}/jobs/{job_id}", protocols=["uketsuke.v1", token])


def by_lone_subprotocol(desk: Desk, job_id: JobId, token: str) -> Any:
    return desk.session.ws_connect(f"{desk.url}/jobs/{job_id}", protocols=[token])


EVERY_WAY = pytest.mark.parametrize("opened", [by_query, by_subprotocol, by_lone_subprotocol])


class TestSocket:
    @EVERY_WAY
    async def test_its_holder_follows_the_job(self, desk: Desk, opened: Open) -> None:
        """In the query, or where a browser's WebSocket has room for it."""
        job_id = await desk.submit()
        async with opened(desk, job_id, await token_of(desk, job_id)) as socket:
            assert (await socket.receive_json(timeout=10))["jobId"] == str(job_id)
            assert socket.protocol in (None, "uketsuke.v1") or opened is by_lone_subprotocol

    @EVERY_WAY
    async def test_another_job_is_unknown_to_it(self, desk: Desk, opened: Open) -> None:
        """Whether there is one or not."""
        token = await token_of(desk, await desk.submit())
        for job_id in (await desk.submit(), a_job_id()):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await opened(desk, job_id, token)
            assert refusal.value.status == 404

    @EVERY_WAY
    async def test_a_wrong_one_is_refused_before_the_upgrade(
        self, desk: Desk, opened: Open
    ) -> None:
        """401, whoever else the caller may be."""
        job_id = await desk.submit()
        foreign, _ = Tokens(KEYS).mint(THE_TENANT, job_id, 60)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await opened(desk, job_id, foreign)
        assert refusal.value.status == 401
        assert refusal.value.headers is not None
        assert refusal.value.headers["WWW-Authenticate"].startswith("Bearer ")

    async def test_the_socket_closes_when_the_token_ends(self, desk: Desk) -> None:
        """4401: come back with a new one, after the number seen last."""
        job_id = await desk.submit()
        token = await token_of(desk, job_id, ttlSeconds=1)
        async with by_query(desk, job_id, token) as socket:
            await socket.receive_json(timeout=10)
            message = await socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4401
        await until(lambda: len(desk.front.hub) == 0)

    async def test_two_tokens_are_one_too_many(self, desk: Desk) -> None:
        """Which of them counts would be a guess."""
        job_id = await desk.submit()
        token = await token_of(desk, job_id)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await desk.session.ws_connect(
                f"{desk.url}/jobs/{job_id}?token={token}", protocols=["uketsuke.v1", token]
            )
        assert refusal.value.status == 400


class TestEvents:
    async def test_its_holder_follows_the_job_until_the_token_ends(self, desk: Desk) -> None:
        """The stream ends, and the browser that comes back is told why."""
        job_id = await desk.submit()
        token = await token_of(desk, job_id, ttlSeconds=1)
        url = f"{desk.url}/api/jobs/{job_id}/events?token={token}"
        async with asyncio.timeout(10), desk.session.get(url) as response:
            assert response.status == 200
            assert str(job_id) in await response.text()
        async with desk.session.get(url) as response:
            assert (response.status, (await response.json())["code"]) == (401, "bad_token")

    async def test_another_tenants_token_shows_another_tenants_job(self, desk: Desk) -> None:
        """The token says whose job it is: one that is not there is unknown."""
        job_id = await desk.submit()
        token, _ = Tokens([TOKEN_KEY]).mint(a_tenant(), job_id, 60)
        async with desk.session.get(
            f"{desk.url}/api/jobs/{job_id}/events?token={token}"
        ) as response:
            assert response.status == 404


async def test_a_token_is_never_logged(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    """It would open the job to everybody who reads logs."""
    job_id = await desk.submit()
    tokens = [await token_of(desk, job_id), tampered(await token_of(desk, job_id))[0]]
    for token in tokens:
        for opened in (by_query, by_subprotocol, by_lone_subprotocol):
            for named in (job_id, a_job_id()):
                try:
                    async with opened(desk, named, token) as socket:
                        await socket.receive(timeout=10)
                except aiohttp.WSServerHandshakeError:
                    pass
        async with desk.session.get(f"{desk.url}/nowhere?token={token}"):
            pass
    desk.store.move(job_id, State.CANCELLED)

    told = "".join(capfd.readouterr())
    assert "job accepted" in told
    assert MARK not in told
