"""What real services show at ``/metrics`` is what the page lists, name by name, label by label."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from deploy.check.observability import counted, dashboard_queries, rule_queries, strange
from deploy.local.stack import Stack
from docs.measured import Measure, measures
from tests.support.house import House, free_port, open_house
from tests.support.waiting import until

pytestmark = pytest.mark.servers

ADDED: Final = frozenset({"le"})
TRIALS: Final = ("UKETSUKE_JOB_TYPES", "UKETSUKE_HANDLERS")


class Scrape:
    """One answer of ``/metrics``: kinds by name, and the labels of each sample."""

    def __init__(self, text: str) -> None:
        found = list(families(text))
        self.kinds = {
            family.name + ("_total" if family.type == "counter" else ""): family.type
            for family in found
        }
        self.samples = [sample for family in found for sample in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        fitting = [s.value for s in self.samples if s.name == name and s.labels == labels]
        return fitting[0] if fitting else None


@pytest.fixture(scope="module")
async def seen(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Scrape]]:
    """A pair that has done a little of everything, as Prometheus sees it."""
    async with open_house(stack, tmp_path_factory.mktemp("scraped")) as house:
        with free_port() as front_port, free_port() as back_port:
            pass
        house.extra = dict.fromkeys(TRIALS, "tests.support.trials")
        await house.back(probe_port=back_port)
        front = await house.front(probe_port=front_port, allow_anonymous="yes")
        await _work(house, house.url(front))
        async with aiohttp.ClientSession() as session:

            async def scrapes() -> dict[str, Scrape] | None:
                found = {
                    "front": Scrape(await _get(session, front_port)),
                    "back": Scrape(await _get(session, back_port)),
                }
                waiting = found["back"].value("uketsuke_jobs", pool="default", state="scheduled")
                return found if waiting else None

            shown = await until(scrapes, within=20, what="the last job is counted")
        assert shown is not None
        yield shown


async def _work(house: House, url: str) -> None:
    """Complete, retry and fail a job, refuse one, keep one waiting, and tell of one."""
    async with aiohttp.ClientSession(url) as session:
        await _status(session, {})
        await _status(session, {"retries": 1})
        await _status(session, {"fails": True, "job": {"orderingKey": "k"}})
        async with session.post("/api/trials/nonsense", json={}) as answer:
            assert answer.status == 404
        later = {"job": {"delaySeconds": 3_600}}
        async with session.post("/api/trials/try", json=later) as answer:
            assert answer.status == 202, await answer.text()
            ticket = await answer.json()
        async with session.ws_connect(f"/jobs/{ticket['jobId']}") as socket:
            await socket.receive_json(timeout=10)


async def _status(session: aiohttp.ClientSession, request: dict[str, object]) -> None:
    """Submit, and hear of it until it has ended."""
    async with session.post("/api/trials/try", json=request) as answer:
        assert answer.status == 202, await answer.text()
        ticket = await answer.json()
    async with session.get(f"/api/jobs/{ticket['jobId']}/events") as answer:
        assert b'"completed"' in (told := await answer.read()) or b'"failed"' in told


async def _get(session: aiohttp.ClientSession, port: int) -> str:
    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


def of(service: str) -> Iterator[Measure]:
    named = {"front": {"front", "both"}, "back": {"back", "both", "house"}}[service]
    return (measure for measure in measures() if measure.of in named)


@pytest.mark.parametrize("service", ["front", "back"])
async def test_a_service_shows_what_is_listed_and_nothing_else(
    seen: dict[str, Scrape], service: str
) -> None:
    """Under the listed name and kind: an alert on a name that is not there never rings."""
    ours = {n: kind for n, kind in seen[service].kinds.items() if n.startswith("uketsuke_")}

    assert ours == {measure.name: measure.kind for measure in of(service)}


@pytest.mark.parametrize("service", ["front", "back"])
async def test_samples_have_the_labels_that_are_listed(
    seen: dict[str, Scrape], service: str
) -> None:
    """Whatever a query sums by is there to be summed by."""
    listed = {name: set(measure.labels) for measure in of(service) for name in measure.series}
    shown = {
        sample.name: set(sample.labels) - ADDED
        for sample in seen[service].samples
        if sample.name in listed
    }

    assert shown == {name: labels for name, labels in listed.items() if name in shown}
    missing = {name for name, labels in listed.items() if labels and name not in shown}
    assert missing <= {
        "uketsuke_connections_refused_total",
        "uketsuke_slow_readers_cut_total",
    }  # these take a crowd, or a reader that stands still; all others were brought about


async def test_the_series_of_processes_are_there(seen: dict[str, Scrape]) -> None:
    """Those that the dashboard uses besides ours."""
    for scrape in seen.values():
        names = {sample.name for sample in scrape.samples}
        assert {name for name in counted() if name.startswith("process_")} <= names


async def test_what_was_done_was_counted(seen: dict[str, Scrape]) -> None:
    """Each figure of the two jobs that failed, and of those that did not."""
    front, back = seen["front"], seen["back"]
    tried = {"type": "trials.try"}

    assert back.value("uketsuke_attempts_total", **tried, move="complete") == 2
    assert back.value("uketsuke_attempts_total", **tried, move="retry") == 1
    assert back.value("uketsuke_failures_total", **tried, code="retry") == 1
    assert back.value("uketsuke_failures_total", **tried, code="not_wanted") == 1
    assert back.value("uketsuke_jobs", pool="default", state="scheduled") == 1
    assert back.value("uketsuke_late_seconds", pool="default", state="scheduled") == 0
    assert back.value("uketsuke_workers", pool="default") == 1
    assert back.value("uketsuke_keys_held") == 1
    assert back.value("uketsuke_hears_knocks") == 1
    assert front.value("uketsuke_broker_up") == 1
    assert front.value("uketsuke_requests_refused_total", code="unknown_job_type") == 1
    assert (front.value("uketsuke_confirm_seconds_count") or 0) >= 1
    assert (front.value("uketsuke_events_pushed_total", over="events") or 0) >= 3
    assert (front.value("uketsuke_events_pushed_total", over="socket") or 0) >= 1
    assert (back.value("uketsuke_loop_lag_seconds_count") or 0) > 0


def test_rules_and_dashboard_name_only_what_is_shown() -> None:
    """What the other tests of this chapter have found in real scrapes."""
    assert strange([*rule_queries(), *dashboard_queries()]) == []
