"""Bytes and JSON that nobody thought of: nothing but refusals, and the next one is served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from front_service.bodies import read_object
from front_service.vetting import Ask, vet
from shared.contract.addresses import EgressRules
from shared.contract.errors import Invalid, Malformed
from shared.contract.ids import THE_TENANT, TrackId
from shared.job_types.demo import ECHO
from tests.front.catalogue import documents, files, framing, lengths, reads, talks
from tests.front.catalogue.runner import Served, serve
from tests.front.job_types import ORDER, SCAN
from tests.front.peer import connect
from tests.support.builders import a_job_id

SEEDS = [
    case.sent
    for module in (documents, files, framing, lengths, reads, talks)
    for case in module.CASES
    if len(case.sent) < 2_000
]
BATCH = 24  # lines at once
QUIET = 0.1  # seconds without another byte: then it is all that is answered

CUT = st.tuples(st.integers(0, 2_000), st.integers(0, 40), st.binary(max_size=12))
BYTES = st.builds(
    lambda seed, cuts, tail: mutated(seed, cuts) + tail,
    st.sampled_from(SEEDS),
    st.lists(CUT, min_size=1, max_size=4),
    st.sampled_from(SEEDS) | st.binary(max_size=40),
)
DOCUMENTS = [case.sent.partition(b"\r\n\r\n")[2] for case in documents.CASES]


def mutated(seed: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Replace some stretches of *seed* with other bytes, or with nothing."""
    for at, size, instead in cuts:
        start = at % (len(seed) + 1)
        seed = seed[:start] + instead + seed[start + size :]
    return seed


@given(
    st.builds(mutated, st.sampled_from([d for d in DOCUMENTS if len(d) < 5_000]), st.lists(CUT)),
    st.sampled_from([ECHO, ORDER, SCAN]),
)
def test_a_body_is_a_submission_or_a_refusal(raw: bytes, job_type: object) -> None:
    """Never another exception: that would be a 500."""
    with suppress(Malformed, Invalid):
        ask = Ask(
            tenant=THE_TENANT,
            caller="me",
            type="x",
            members=read_object(raw),
            track_id=TrackId("t"),
        )
        vet(ask, job_type, a_job_id(), max_age=timedelta(days=7), egress=EgressRules())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serve(tmp_path_factory.mktemp("fuzz")) as served:
        yield served


async def statuses(front: Served, data: bytes) -> list[int]:
    """Send *data*; answer the status of every response that comes back."""
    heard = b""
    async with connect(front.port) as peer:
        with suppress(ConnectionError, TimeoutError):
            await peer.send(data)
            while piece := await asyncio.wait_for(peer.reader.read(65_536), QUIET):
                heard += piece
    lines = (line for line in heard.split(b"HTTP/1.1 ")[1:] if line[:3].isdigit())
    return [int(line[:3]) for line in lines]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BYTES, min_size=BATCH, max_size=BATCH))
async def test_bytes_of_any_kind_are_answered_or_dropped(front: Served, batch: list[bytes]) -> None:
    """No 5xx, nothing in the log, and a good request is served after each batch."""
    found = await asyncio.gather(*(statuses(front, data) for data in batch))
    after = await statuses(front, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert [
        data for data, codes in zip(batch, found, strict=True) if max(codes, default=0) > 499
    ] == []
    assert after == [200]
    assert '"level":"error"' not in front.log()
