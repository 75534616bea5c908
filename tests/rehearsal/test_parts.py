"""The parts that stand for a cluster in a rehearsal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.record import ROOT
from tests.deploy.manifests import rendered
from tests.rehearsal.balancer import Balancer, open_balancer
from tests.rehearsal.pods import Node, Pod


@asynccontextmanager
async def endpoint(name: bytes) -> AsyncIterator[int]:
    """Something that says its name to whoever connects."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def heard(balancer: Balancer) -> bytes:
    parts = urlsplit(balancer.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    said = await reader.read()
    writer.close()
    return said


async def test_a_balancer_sends_to_its_endpoints_and_never_tries_again() -> None:
    """What hides a failure from callers would hide it from the rehearsal."""
    async with endpoint(b"one") as one, open_balancer() as balancer:
        assert await heard(balancer) == b""
        balancer.endpoints = {"127.0.0.1": one}
        assert await heard(balancer) == b"one"
        balancer.endpoints = {"127.0.0.2": one}  # nobody listens there
        assert await heard(balancer) == b""

        assert balancer.refused == 2


def test_a_pod_gets_what_its_manifest_gives_and_nothing_of_ours(tmp_path: Path) -> None:
    """Else the rehearsal would show something that no cluster runs."""
    manifests = rendered("production")
    (front,) = (found for found in manifests.ours if found.name == "uketsuke-front")
    secrets = {"uketsuke-front": tmp_path / "secrets"}
    node = Node(manifests=manifests, folder=tmp_path, secrets=secrets, blobs=tmp_path / "blobs")
    pod = Pod(node=node, workload=front, name="front-1", address="127.0.0.9")

    told = pod.environment(front.pod["containers"][0])

    assert told["UKETSUKE_HOST"] == told["UKETSUKE_PROBE_HOST"] == "127.0.0.9"
    assert told["UKETSUKE_SECRETS_DIR"] == str(tmp_path / "secrets")
    assert told["UKETSUKE_BLOB_DIR"] == str(tmp_path / "blobs")
    given = manifests.settings(front.pod["containers"][0], "127.0.0.9")
    assert told.keys() - given.keys() == {"PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "TMPDIR"}
    assert told["PYTHONPATH"] == str(ROOT)
