"""What an orchestrator asks of a front, and how a front leaves its callers."""

from pathlib import Path

import aiohttp

from tests.front.desk import Desk, open_desk, until
from tests.support.house import free_port


async def test_figures_may_have_a_port_of_their_own(tmp_path: Path) -> None:
    """Callers from outside must not read how many jobs of which type there are."""
    with free_port() as port:
        pass
    async with (
        open_desk(tmp_path / "blobs", probe_port=port) as desk,
        aiohttp.ClientSession() as prober,  # what it asks is no part of the API
    ):
        told = {}
        for base, session in ((desk.url, desk.session), (f"http://127.0.0.1:{port}", prober)):
            for path in ("/livez", "/readyz", "/metrics"):
                async with session.get(base + path) as answer:
                    told[base == desk.url, path] = answer.status

    assert told == {
        (True, "/livez"): 200,
        (True, "/readyz"): 200,
        (True, "/metrics"): 404,
        (False, "/livez"): 200,
        (False, "/readyz"): 200,
        (False, "/metrics"): 200,
    }


async def test_a_request_on_an_idle_connection_is_answered_while_the_front_leaves(
    desk: Desk,
) -> None:
    """It may be on its way when the front is told to stop; nobody could know what became of it."""
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"{desk.url}/livez") as answer:
            await answer.read()
        desk.stop.set()
        await until(lambda: desk.front.server.is_leaving)

        async with session.post(f"{desk.url}/api/demo/echo", json={"payload": 1}) as answer:
            assert answer.status == 202
            assert answer.headers["Connection"] == "close"

    await desk.served
