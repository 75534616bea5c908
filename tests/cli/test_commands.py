"""Each command does what its help says, ends with the code it promises, and loses no job."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Runs
from tests.client.desk import Desk, answers, problem, refuses
from tests.client.documents import a_history, a_job_id, a_status, a_ticket

LINKS = {"report": "/api/blobs/7", "pages": ["/api/blobs/8"], "text": "fine"}


def accepts(desk: Desk, *history: dict[str, object]) -> str:
    """Let the next submit become the job of *history*."""
    job_id = desk.tells(*history)
    desk.script["submit"].append(answers(202, a_ticket("demo.echo", job_id)))
    return job_id


async def test_submit_prints_the_ticket(desk: Desk, run: Runs) -> None:
    """The id to keep, and an address that can be opened."""
    job_id = accepts(desk, *a_history())

    ran = await run("submit", "demo.echo", '{"payload": 1}')

    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"job     {job_id}",
        f"status  {desk.url}/api/demo/status/{job_id}",
        "place   3 in the queue",
    ]
    assert desk.seen[0].document == {"payload": 1}


async def test_every_wish_of_a_submit_arrives(desk: Desk, run: Runs, tmp_path: Path) -> None:
    """Each option is the member that http-api.md names."""
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF")
    words = ["--file", f"doc={scan}", "--key", "order-7", "--priority", "high", "--delay", "1.5m"]
    words += ["--tag", "a", "--tag", "b", "--max-attempts", "2", "--deadline", "2030-01-01T00:00Z"]
    words += ["--callback-url", "https://example.org/", "--idempotency-key", "mine"]

    ran = await run("submit", "demo.echo", "{}", *words, "--token", "secret")

    assert ran.code == 0
    seen = desk.seen[0]
    assert seen.document == {
        "callbackUrl": "https://example.org/",
        "job": {
            "orderingKey": "order-7",
            "priority": "high",
            "delaySeconds": 90.0,
            "deadline": "2030-01-01T00:00:00Z",
            "maxAttempts": 2,
            "tags": ["a", "b"],
        },
    }
    assert seen.parts["doc"] == ("scan.pdf", b"%PDF")
    assert seen.headers["Idempotency-Key"] == "mine"
    assert seen.headers["Authorization"] == "Bearer secret"


async def test_the_request_may_come_from_a_file_or_a_pipe(
    desk: Desk, run: Runs, tmp_path: Path
) -> None:
    """Large requests need not pass through the shell."""
    (tmp_path / "request.json").write_text('{"from": "file"}')

    await run("submit", "demo.echo", f"@{tmp_path / 'request.json'}")
    await run("submit", "demo.echo", "-", stdin=b'{"from": "pipe"}')
    await run("submit", "demo.echo")

    assert [seen.document for seen in desk.seen] == [{"from": "file"}, {"from": "pipe"}, {}]


async def test_submit_and_watch_tells_the_way_the_result_and_whole_addresses(
    desk: Desk, run: Runs
) -> None:
    """What the job made can be opened right from the terminal."""
    job_id = a_job_id()
    history = a_history(job_id, results=LINKS)
    history.insert(2, a_status(job_id, 2, progress=65, message="page 3"))
    accepts(desk, *history)

    ran = await run("submit", "demo.echo", "--watch")

    assert ran.code == 0
    assert ran.err.splitlines() == [
        f"{job_id}  pending (queued) 0%",
        f"{job_id}  processing 0%",
        f"{job_id}  processing 65%  page 3",
        f"{job_id}  completed",
    ]
    assert '"text": "fine"' in ran.out
    assert f"report    {desk.url}/api/blobs/7" in ran.out
    assert f"pages[0]  {desk.url}/api/blobs/8" in ran.out


async def test_submit_and_wait_only_tells_the_ending(desk: Desk, run: Runs) -> None:
    """For scripts that want one answer."""
    accepts(desk, *a_history(results={"n": 1}))

    ran = await run("submit", "demo.echo", "--wait")

    assert ran.code == 0
    assert "processing" not in ran.err
    assert '"n": 1' in ran.out


@pytest.mark.parametrize("ending", ["failed", "cancelled", "expired"])
async def test_an_ending_that_is_no_success_is_code_1(desk: Desk, run: Runs, ending: str) -> None:
    """A script sees by the code alone that there is no result."""
    job_id = accepts(desk, a_status(a_job_id(), 2, ending, error="no such page"))

    watched = await run("submit", "demo.echo", "--watch")
    asked = await run("status", job_id)

    assert (watched.code, asked.code) == (1, 1)
    assert f"status  {ending}" in watched.out
    assert "error   no such page" in watched.out


async def test_with_json_every_line_is_a_document_and_nothing_else_is(
    desk: Desk, run: Runs
) -> None:
    """The ticket, then one status for each change, the ending last."""
    job_id = accepts(desk, *a_history(results=LINKS))

    ran = await run("submit", "demo.echo", "--watch", "--json")

    assert ran.code == 0
    assert [line["jobId"] for line in ran.lines] == [job_id] * 4
    assert [line["status"] for line in ran.lines] == [
        "pending",
        "pending",
        "processing",
        "completed",
    ]
    assert ran.err == ""


async def test_several_jobs_are_watched_at_once_and_the_worst_ending_counts(
    desk: Desk, run: Runs
) -> None:
    """One that is unknown does not end the watch over the others."""
    good = desk.tells(*a_history())
    bad = a_job_id()
    desk.tells(a_status(bad, 1), a_status(bad, 2, "failed", error="torn"))
    unknown = a_job_id()

    ran = await run("watch", good, bad, "--json")
    with_unknown = await run("watch", good, unknown, "--json")

    assert ran.code == 1
    endings = {line["jobId"]: line["status"] for line in ran.lines}
    assert endings == {good: "completed", bad: "failed"}
    assert with_unknown.code == 4
    assert with_unknown.lines[-1]["status"] == "completed"
    assert unknown in with_unknown.err
    assert len(desk.met()) == 2  # one socket for each command, not for each job
    assert desk.watched(good) == []


async def test_a_watch_resumes_after_what_was_seen(desk: Desk, run: Runs) -> None:
    """The number that Ctrl-C told is where it goes on."""
    job_id = desk.tells(*a_history())

    ran = await run("watch", job_id, "--after", "2", "--json")

    assert [line["sequence"] for line in ran.lines] == [3]


async def test_a_timeout_is_code_5_and_cancels_nothing(desk: Desk, run: Runs) -> None:
    """The job goes on; only the waiting ended."""
    job_id = desk.tells(a_status(a_job_id(), 1, "queued"))

    ran = await run("watch", job_id, "--timeout", "50ms")

    assert ran.code == 5
    assert desk.of("DELETE") == []


async def test_status_shows_what_matters(desk: Desk, run: Runs) -> None:
    """Only members that there are."""
    job_id = desk.tells(
        a_status(a_job_id(), 4, "retrying", error="busy", orderingKey="k", tags=["a", "b"])
    )

    ran = await run("status", job_id)

    assert ran.code == 0
    shown = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert shown["status"] == "pending (retrying) 0%"
    assert shown["error"] == "busy"
    assert shown["key"] == "k"
    assert shown["tags"] == "a, b"
    assert shown["attempt"] == "1 of 4"
    assert "completed" not in shown


async def test_a_result_can_be_piped_and_its_files_saved(
    desk: Desk, run: Runs, tmp_path: Path
) -> None:
    """Stdout is the result and nothing else; the folder is made."""
    job_id = a_job_id()
    desk.tells(a_history(job_id, results=LINKS)[-1])
    desk.blobs["7"] = (b"report", 'attachment; filename="report.pdf"')
    desk.blobs["8"] = (b"page", 'attachment; filename="../page.png"')
    folder = tmp_path / "new" / "folder"

    ran = await run("result", job_id, "--save", str(folder))

    assert ran.code == 0
    assert json.loads(ran.out) == LINKS
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "report.pdf": b"report",
        "page.png": b"page",
    }
    assert f"report  {folder / 'report.pdf'}" in ran.err


async def test_a_result_as_json_is_one_line_with_its_files(desk: Desk, run: Runs) -> None:
    """A program finds the addresses without searching."""
    job_id = a_job_id()
    desk.tells(a_history(job_id, results=LINKS)[-1])

    ran = await run("result", job_id, "--json")

    [line] = ran.lines
    assert line["results"] == LINKS
    assert line["files"][0] == {"member": "report", "url": f"{desk.url}/api/blobs/7"}


async def test_no_result_is_code_1(desk: Desk, run: Runs) -> None:
    """Not there yet, or never."""
    job_id = desk.tells(a_status(a_job_id(), 2, "failed"))

    ran = await run("result", job_id)

    assert ran.code == 1
    assert ran.out == ""
    assert "no_result" in ran.err


async def test_cancel_tells_how_far_it_got(desk: Desk, run: Runs) -> None:
    """A running job is cancelling; one that has ended is code 1."""
    running = desk.tells(a_status(a_job_id(), 2))
    ended = desk.tells(a_status(a_job_id(), 2, "completed"))

    assert "cancelling" in (await run("cancel", running)).out
    assert (await run("cancel", ended)).code == 1


async def test_replay_tells_that_it_waits_again(desk: Desk, run: Runs) -> None:
    """A job with a result is not run again: the request is wrong, which is code 2."""
    failed = desk.tells(a_status(a_job_id(), 2, "failed"))
    completed = desk.tells(a_status(a_job_id(), 2, "completed"))

    ran = await run("replay", failed)
    assert ran.code == 0
    assert "queued" in ran.out
    refused = await run("replay", completed)
    assert refused.code == 2
    assert "not_replayable" in refused.err


async def test_list_is_a_table_of_tabs_in_a_pipe(desk: Desk, run: Runs) -> None:
    """Plain columns for cut and awk; at most as many as asked for."""
    ids = [desk.tells(a_status(a_job_id(), 1, orderingKey="k")) for _ in range(5)]

    ran = await run("list", "--limit", "3", "--type", "demo.echo", "--status", "processing")

    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [row[0] for row in rows] == ids[:3]
    assert rows[0][1:4] == ["demo.echo", "processing", "0%"]
    assert desk.seen[0].query["type"] == "demo.echo"
    assert desk.seen[0].query["status"] == "processing"


async def test_list_as_json_is_the_documents(desk: Desk, run: Runs) -> None:
    """All that the service said of each."""
    job_id = desk.tells(a_status(a_job_id(), 1))

    ran = await run("list", "--json")

    assert ran.lines == desk.jobs[job_id]


@pytest.mark.parametrize(
    "words",
    [
        ("submit", "demo.echo", "not json"),
        ("submit", "demo.echo", "[1]"),
        ("submit", "demo.echo", "@no/such/file"),
        ("submit", "demo.echo", "{}", "--delay", "soon"),
        ("submit", "demo.echo", "{}", "--delay", "-5s"),
        ("submit", "demo.echo", "{}", "--run-at", "tomorrow"),
        ("submit", "demo.echo", "{}", "--file", "nonsense"),
        ("submit", "demo.echo", "{}", "--file", "a=no/such/file"),
        ("submit", "demo.echo", "{}", "--priority", "urgent"),
        ("submit", "demo.echo", '{"job": {}}'),
        ("list", "--limit", "0"),
        ("list", "--status", "asleep"),
        ("watch",),
        ("status", "--url", "nonsense", "0193"),
        ("status", "--token", "a\nb", "0193"),
        ("dance",),
    ],
)
async def test_a_wrong_command_is_code_2_and_asks_nobody(
    desk: Desk, run: Runs, words: tuple[str, ...]
) -> None:
    """The mistake is told on stderr, in a sentence."""
    ran = await run(*words)

    assert ran.code == 2
    assert ran.err
    assert desk.seen == []


async def test_a_refused_request_is_code_2_and_names_the_member(desk: Desk, run: Runs) -> None:
    """What the service finds wrong is the caller's to mend, like a usage error."""
    faults = [{"pointer": "/fileUrl", "detail": "must be an address"}]
    desk.script["submit"].append(refuses(422, "invalid", errors=faults))

    ran = await run("submit", "demo.echo")

    assert ran.code == 2
    assert "/fileUrl: must be an address" in ran.err
    assert "TrackID track-9" in ran.err


async def test_a_fault_of_the_whole_request_is_told_without_an_empty_place(
    desk: Desk, run: Runs
) -> None:
    """Where no member is at fault, none is named, nor half of one."""
    faults = [{"pointer": "", "detail": "name the document"}]
    desk.script["submit"].append(refuses(422, "invalid", errors=faults))

    ran = await run("submit", "demo.echo")

    assert "error: name the document" in ran.err


async def test_unknown_and_gone_are_code_4(desk: Desk, run: Runs) -> None:
    """Also a job type that nobody knows."""
    gone = a_job_id()
    desk.gone.add(gone)
    desk.script["submit"].append(refuses(404, "unknown_job_type"))

    assert (await run("status", a_job_id())).code == 4
    assert (await run("watch", gone)).code == 4
    assert (await run("status", "no-id")).code == 4
    assert (await run("submit", "demo.nothing")).code == 4


async def test_nobody_there_is_code_3_within_seconds(run: Runs, unused_tcp_port: int) -> None:
    """And the message says where nobody was, and how to name another place."""
    ran = await run("status", a_job_id(), "--url", f"http://127.0.0.1:{unused_tcp_port}")

    assert ran.code == 3
    assert str(unused_tcp_port) in ran.err
    assert "--url" in ran.err
    assert "UKETSUKE_URL" in ran.err


async def test_a_stranger_on_that_port_is_code_3(desk: Desk, run: Runs) -> None:
    """It answers, but it is not the front service."""
    desk.script["status"].append(answers(200, "<html>"))

    ran = await run("status", a_job_id())

    assert ran.code == 3
    assert "not JSON" in ran.err


async def test_text_of_a_job_cannot_paint_the_terminal(desk: Desk, run: Runs) -> None:
    """Neither escape sequences nor markup of a stranger come through, and no line is forged."""
    job_id = a_job_id()
    evil = "\x1b[31m[bold]red[/bold]\nstatus  completed\x9b"
    desk.tells(a_status(job_id, 2, "failed", error=evil, message=evil, tags=[evil], type=evil))

    shown = [await run("status", job_id), await run("list"), await run("watch", job_id)]

    for ran in shown:
        text = ran.out + ran.err
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "[bold]red[/bold] status" in text


async def test_a_result_of_a_stranger_cannot_paint_the_terminal(desk: Desk, run: Runs) -> None:
    """A result is shown escaped, and still is the JSON it was."""
    job_id = a_job_id()
    desk.tells(a_history(job_id, results={"\x9b": "\x1b[2J\u202e é"})[-1])

    ran = await run("result", job_id)

    assert json.loads(ran.out) == {"\x9b": "\x1b[2J\u202e é"}
    assert ran.out.isprintable() or set(filter(lambda c: not c.isprintable(), ran.out)) == {"\n"}
    assert "é" in ran.out


def test_problem_documents_of_the_desk_are_what_http_api_says() -> None:
    """The tests stand on it."""
    assert problem(404, "unknown_job").content_type == "application/problem+json"
