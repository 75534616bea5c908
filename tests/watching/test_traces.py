"""One job's trace, end to end over both services, as a collector of traces receives it."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.stack import Stack
from tests.house.sources import ROOT
from tests.support.house import House, open_house
from tests.support.waiting import NotInTime, until

TRIALS: Final = ("UKETSUKE_JOB_TYPES", "UKETSUKE_HANDLERS")
PATIENT: Final = 60  # seconds for a confirm: on a busy machine the relay would knock as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    notes: dict[str, str]


class Collector:
    """Takes what services send by OTLP over HTTP."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.endpoint = ""

    async def take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for lot in sent.resource_spans:
            of = {a.key: a.value.string_value for a in lot.resource.attributes}
            for scope in lot.scope_spans:
                self.steps += [
                    Step(
                        service=of["service.name"],
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        notes={
                            a.key: a.value.string_value or str(a.value.int_value)
                            for a in span.attributes
                        },
                    )
                    for span in scope.spans
                ]
        return web.Response(body=b"", content_type="application/x-protobuf")

    def of(self, trace: str) -> list[Step]:
        return [step for step in self.steps if step.trace == trace]


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.endpoint = f"http://{host}:{port}"
    yield collector
    await runner.cleanup()


@pytest.fixture(scope="module")
async def place(
    stack: Stack, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    async with open_house(stack, tmp_path_factory.mktemp("traces")) as house:
        house.extra = dict.fromkeys(TRIALS, "tests.support.trials") | {
            "UKETSUKE_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        await house.back(confirm_wait=PATIENT)
        yield house


async def takes_knocks(url: str) -> None:
    """Wait until a front has its broker: it is ready before, and leaves knocks to the relay."""
    async with aiohttp.ClientSession(url) as session:

        async def has_broker() -> bool:
            async with session.get("/readyz") as answer:
                return bool((await answer.json())["broker"] == "up")

        await until(has_broker, within=30, what="the front has its broker")


async def submitted(url: str, request: dict[str, object]) -> tuple[str, str]:
    """Submit as a step of a trace of somebody else's; give the trace and that step."""
    trace, step = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace}-{step}-01"}
    async with (
        aiohttp.ClientSession(url, headers=headers) as session,
        session.post("/api/trials/try", json=request) as answer,
    ):
        assert answer.status == 202
    return trace, step


async def told(collector: Collector, trace: str, names: Sequence[str]) -> dict[str, list[Step]]:
    """Wait until the steps *names* of a trace are there; give all of it, by name."""

    async def are_there() -> list[Step] | None:
        found = collector.of(trace)
        left = [step.name for step in found]
        for name in names:
            if name not in left:
                return None
            left.remove(name)
        return found

    try:
        found = await until(are_there, within=20, what=f"the steps {names}") or []
    except NotInTime as late:
        raise NotInTime(f"{late}; there are {[s.name for s in collector.of(trace)]}") from None
    by_name: dict[str, list[Step]] = {}
    for step in found:
        by_name.setdefault(step.name, []).append(step)
    return by_name


@pytest.mark.servers
async def test_one_job_is_one_trace_through_a_retry(place: House, collector: Collector) -> None:
    """Submit, knock, claim, first attempt, claim, second attempt: each under the one before."""
    front = await place.front(confirm_wait=PATIENT)
    await takes_knocks(place.url(front))
    trace, caller = await submitted(place.url(front), {"retries": 1})
    steps = await told(
        collector,
        trace,
        [
            *("POST /api/{collection}/{action}", "knock"),
            *(["claim", "attempt trials.try"] * 2),
        ],
    )
    [submit], [knock] = steps["POST /api/{collection}/{action}"], steps["knock"]
    first, second = sorted(
        steps["attempt trials.try"], key=lambda step: step.notes["uketsuke.attempt"]
    )
    claims = {claim.id: claim for claim in steps["claim"]}

    assert (submit.service, submit.parent) == ("uketsuke-front", caller)
    assert submit.notes["http.response.status_code"] == "202"
    assert knock.parent == submit.id
    assert knock.notes["messaging.destination.name"] == "jobs.default.normal"
    assert first.service == second.service == "uketsuke-back"
    assert claims[first.parent].parent in {submit.id, knock.id}  # an early knock says no trace
    assert claims[second.parent].parent == submit.id
    assert first.parent != second.parent
    assert (first.notes["uketsuke.outcome"], first.notes["error.type"]) == ("raised", "retry")
    assert second.notes["uketsuke.outcome"] == "returned"
    assert await front.terminate() == 0


@pytest.mark.servers
async def test_a_knock_that_the_relay_brings_out_carries_the_trace_on(
    place: House, collector: Collector
) -> None:
    """The front has no broker: the row knows the trace, the back's relay tells it the broker."""
    front = await place.front(amqp_url="amqp://127.0.0.1:1/")
    trace, _ = await submitted(place.url(front), {})
    steps = await told(collector, trace, ["relay knock", "claim", "attempt trials.try"])
    [relayed], [claim], [attempt] = (
        *(steps["relay knock"], steps["claim"]),
        steps["attempt trials.try"],
    )
    [submit] = (await told(collector, trace, ["POST /api/{collection}/{action}"]))[
        "POST /api/{collection}/{action}"
    ]

    assert relayed.service == "uketsuke-back"
    assert relayed.parent == submit.id
    assert claim.parent == relayed.id  # which only the header of the message says
    assert attempt.parent == claim.id
    assert "knock" not in steps


def test_who_wants_no_traces_imports_nothing_of_them() -> None:
    """All of both services, with traces off, as they are unless somebody asks."""
    code = (
        "import sys, front_service.app, back_service.app\n"
        "from shared.runtime.tracing import open_tracing\n"
        "assert open_tracing('front', None, {}) is None\n"
        "assert open_tracing('front', 'http://x', {'OTEL_SDK_DISABLED': 'true'}) is None\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'shared.runtime.otel'))])"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT, text=True
    )

    assert asked.stdout == "[]\n"
