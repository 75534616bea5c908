"""The edge of the service: pages of other origins, a full outbox, a start that is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from front_service.app import refuse_strangers
from shared.runtime.settings import BadSettings
from tests.front.desk import Desk, open_desk, settings

ROOT = Path(__file__).parents[2]
PAGE = "https://app.example"


class TestOrigins:
    async def test_a_page_that_was_let_in_may_read_the_answer(self, tmp_path: Path) -> None:
        """And no other page may, whatever a cache keeps."""
        async with (
            open_desk(tmp_path, allowed_origins=[PAGE + "/"]) as desk,
            desk.session.get(desk.url + "/api/jobs", headers={"Origin": PAGE}) as response,
        ):
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == PAGE
            assert response.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Credentials" not in response.headers

    async def test_a_page_may_read_refusals_as_well(self, tmp_path: Path) -> None:
        """Or its script sees a network error where we said why."""
        async with (
            open_desk(tmp_path, allowed_origins=[PAGE]) as desk,
            desk.session.get(desk.url + "/nowhere", headers={"Origin": PAGE}) as response,
        ):
            assert response.status == 404
            assert response.headers["Access-Control-Allow-Origin"] == PAGE

    async def test_a_browser_may_ask_first(self, desk: Desk) -> None:
        """The preflight of a JSON submit with our headers."""
        asked = {
            "Origin": "http://localhost:5173",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, idempotency-key",
        }
        async with desk.session.options(desk.url + "/api/demo/echo", headers=asked) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == asked["Origin"]
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
            assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]

    async def test_a_foreign_page_is_told_nothing(self, desk: Desk) -> None:
        """Neither in advance nor after."""
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        async with desk.session.options(desk.url + "/api/demo/echo", headers=asked) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers

    async def test_who_takes_anyone_takes_its_own_pages(self, tmp_path: Path) -> None:
        """Behind a proxy: the page's origin is the host that was asked."""
        async with open_desk(tmp_path, allow_anonymous=True) as desk:
            own = {"Host": "desk.example", "Origin": "https://desk.example"}
            async with desk.session.get(desk.url + "/api/jobs", headers=own) as response:
                assert response.status == 200
            foreign = own | {"Origin": "https://evil.example"}
            async with desk.session.get(desk.url + "/api/jobs", headers=foreign) as response:
                assert response.status == 403


class TestTheOutbox:
    async def test_a_full_outbox_refuses_submits_until_there_is_room(self, tmp_path: Path) -> None:
        """503 with a time to wait; status and cancel go on."""
        async with open_desk(tmp_path, max_outbox=10) as desk:
            job_id = await desk.submit()
            desk.post.waiting = 10
            await desk.front.backlog.look()
            async with desk.session.post(desk.url + "/api/demo/echo", json={}) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "10")
            async with desk.session.get(f"{desk.url}/api/jobs/{job_id}") as response:
                assert response.status == 200
            desk.post.waiting = 9
            await desk.front.backlog.look()
            await desk.submit()


class TestTheStart:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "desk.example", ""])  # noqa: S104  that is the point
    def test_nameless_callers_from_anywhere_must_be_wanted(self, host: str) -> None:
        """Nobody opens a desk to the world by a slip of the pen."""
        with pytest.raises(BadSettings, match="UKETSUKE_ALLOW_ANONYMOUS"):
            refuse_strangers(settings(host=host))

        refuse_strangers(settings(host=host, allow_anonymous=True))

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
    def test_the_own_machine_needs_no_leave(self, host: str) -> None:
        """As a newcomer starts it."""
        refuse_strangers(settings(host=host))

    def test_a_refused_start_says_why_and_exits(self) -> None:
        """Exit code 2 and one clear text, no trace."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UKETSUKE_")}
        environment |= {
            "UKETSUKE_DATABASE_URL": "postgres://127.0.0.1:9/nothing",
            "UKETSUKE_AMQP_URL": "amqp://127.0.0.1:9/",
            "UKETSUKE_HOST": "0.0.0.0",  # noqa: S104  it must not come to that
        }
        ended = subprocess.run(
            [sys.executable, "-m", "front_service"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert ended.returncode == 2
        assert "UKETSUKE_ALLOW_ANONYMOUS" in ended.stderr
        assert "Traceback" not in ended.stderr
