"""``make run``: the order of starting and stopping, and what it says when it cannot."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from deploy.local import commands, demo, probes, processes, record, run, suite
from tests.deploy.conftest import Launch, Launcher
from uketsuke.cli.visit import DEFAULT_URL

pytestmark = [pytest.mark.servers, pytest.mark.timeout(90)]


def is_ready(launcher: Launcher) -> bool:
    return launcher.says("Uketsuke is ready")


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stops_front_then_back_each_once(
    launch: Launch, wish: signal.Signals
) -> None:
    """No new work comes in while the back service drains; and asking is no failure."""
    launcher = launch()
    assert is_ready(launcher)

    code = launcher.ends(wish)

    assert code == 0
    assert launcher.says("stopping in order; running jobs have up to 25 s (Ctrl-C once more")
    endings = [line for line in launcher.lines if line.endswith((" front ends", " back ends"))]
    assert endings == ["front │ front ends", " back │ back ends"]


def test_it_says_where_things_are_and_what_to_try(launch: Launch) -> None:
    """Who starts it for the first time knows neither the address nor a first command."""
    launcher = launch()

    assert is_ready(launcher)

    said = "\n".join(launcher.lines)
    for needed in (f"http://127.0.0.1:{launcher.port}/api/", "curl -s", "make demo", "watch"):
        assert needed in said
    assert re.search(
        rf"-m uketsuke watch JOB_ID --url http://127.0.0.1:{launcher.port}$", said, re.MULTILINE
    )
    assert re.search(rf"process of this launcher +{launcher.process.pid}$", said, re.MULTILINE)


def test_where_the_command_line_looks_by_itself_it_need_not_be_told(tmp_path: Path) -> None:
    """The first line that is copied should be as short as it can."""
    plan = run._plan([], tmp_path, {})

    assert plan.url == DEFAULT_URL
    assert "--url" not in run._banner(plan, 1.0)


def test_it_is_not_ready_before_the_back_is(launch: Launch) -> None:
    """Who submits at once would else wait for a worker, and not know for what."""
    launcher = launch(STANDIN_BACK="wait")
    back = launcher.pid_of_back()
    assert processes.await_truth(lambda: probes.says_ready("127.0.0.1", launcher.port), 20.0)
    assert launcher.says("waiting for the services")
    assert not any("Uketsuke is ready" in line for line in launcher.lines)

    os.kill(back, signal.SIGUSR2)

    assert is_ready(launcher)


def test_whoever_does_not_become_ready_is_named(launch: Launch) -> None:
    """Of two services a person must know which log to read."""
    launcher = launch(STANDIN_BACK="wait", words=["--within", "3"])

    assert launcher.ends() == 1

    assert launcher.says("not ready after 3 s: the back service (http://127.0.0.1:")
    assert launcher.says("front ends")
    assert launcher.says("back ends")


def test_the_probes_that_the_user_wants_are_the_backs(launch: Launch) -> None:
    """One port for two services would be a fall of the second."""
    (port,) = processes.free_ports(1)
    launcher = launch(UKETSUKE_PROBE_PORT=str(port))

    assert is_ready(launcher)

    assert launcher.says(f"UKETSUKE_PROBE_PORT={port}")
    assert probes.says_ready("127.0.0.1", port)


def test_what_the_user_set_reaches_the_services(launch: Launch) -> None:
    """A setting of ours goes before the user's only where both would not work."""
    launcher = launch(UKETSUKE_CONCURRENCY="3", UKETSUKE_LOG_FORMAT="json")

    launcher.pid_of_back()

    assert launcher.says("UKETSUKE_CONCURRENCY=3")
    assert launcher.says("UKETSUKE_LOG_FORMAT=json")
    assert launcher.says("UKETSUKE_BLOB_DIR=/")


def test_a_second_start_is_one_clear_line_and_breaks_nothing(launch: Launch) -> None:
    """Typing it twice must neither fight over the data nor stop what runs."""
    first = launch()
    assert is_ready(first)

    second = launch()

    assert second.ends() == 1
    assert len(second.lines) == 1
    assert f"runs already from {first.folder}: http://127.0.0.1:{first.port}" in second.lines[0]
    assert first.process.poll() is None


def test_a_taken_port_is_one_clear_line_before_anything_starts(launch: Launch) -> None:
    """A broker that boots for ten seconds to find the port taken wastes a person's time."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        launcher = launch(port=port)

        assert launcher.ends() == 1

    assert len(launcher.lines) == 1
    assert f"Port {port}" in launcher.lines[0]
    assert "UKETSUKE_PORT" in launcher.lines[0]


def test_when_a_service_falls_all_stop_and_its_code_is_told(launch: Launch) -> None:
    """Half a desk is worse than none: a person must see that, and why."""
    launcher = launch()
    assert is_ready(launcher)

    os.kill(launcher.pid_of_back(), signal.SIGUSR1)

    assert launcher.ends() == 1

    assert launcher.says("the back service ended by itself, with code 7")
    assert launcher.says("front ends")


def test_a_migration_that_fails_starts_no_service(launch: Launch) -> None:
    """New code on an old schema would answer requests with nonsense."""
    launcher = launch(STANDIN_MIGRATION="fail")

    assert launcher.ends() == 1

    assert launcher.says("the migration cannot be made")
    assert not any("back is" in line for line in launcher.lines)


def test_a_second_wish_to_stop_does_not_wait_for_the_drain(launch: Launch) -> None:
    """A person in a hurry may be."""
    launcher = launch(STANDIN_BACK="drain for ever")
    assert is_ready(launcher)
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.says("back drains")

    def hurries() -> bool:
        launcher.process.send_signal(signal.SIGINT)
        return launcher.process.poll() is not None

    assert processes.await_truth(hurries, 10.0, every=0.2)
    assert launcher.process.returncode == 0


def test_a_service_that_never_ends_is_killed_after_its_drain(launch: Launch) -> None:
    """Ctrl-C must end, whatever a service does; but it is no clean end."""
    launcher = launch(STANDIN_BACK="drain for ever", UKETSUKE_DRAIN="-9")
    assert is_ready(launcher)

    assert launcher.ends(signal.SIGINT) == 1

    assert launcher.says("the back service did not end within 1 s: killed")


def test_a_killed_launcher_takes_its_services_along(launch: Launch) -> None:
    """Else the next start finds the port taken by a service that nobody can stop."""
    launcher = launch()
    assert is_ready(launcher)
    back = launcher.pid_of_back()

    launcher.ends(signal.SIGKILL)

    assert processes.await_truth(lambda: not processes.is_alive(back), 5.0)
    again = launch(port=launcher.port)
    assert is_ready(again)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UKETSUKE_PORT", "abc"),
        ("UKETSUKE_PORT", "0"),
        ("UKETSUKE_PORT", "70000"),
        ("UKETSUKE_PROBE_PORT", "0"),
        ("UKETSUKE_DRAIN", "soon"),
        ("UKETSUKE_HOST", "192.0.2.1"),
    ],
)
def test_a_setting_that_cannot_be_is_named_in_one_line(
    launch: Launch, name: str, text: str
) -> None:
    """That one, and no other: a slip in a variable is quickly mended by who knows which."""
    launcher = launch(**{name: text})

    assert launcher.ends() == 1

    assert len(launcher.lines) == 1
    assert f"{name}={text} is no " in launcher.lines[0]
    assert launcher.lines[0].count("UKETSUKE_") == 1
    assert "literal" not in launcher.lines[0]


def test_it_is_stopped_from_another_terminal(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first terminal may be gone; `make stop` comes back when all is down."""
    launcher = launch()
    assert is_ready(launcher)
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(launcher.folder))

    assert commands.main(["stop"]) == 0

    assert not record.is_held(launcher.folder)
    assert launcher.ends() == 0


def test_stopping_what_does_not_run_signals_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number in an old record may since be anybody's process."""
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(tmp_path))
    (tmp_path / "lock").touch()
    record.write(tmp_path, {"launcher": os.getpid()})

    assert commands.main(["stop"]) == 0


def test_the_demo_without_a_desk_says_how_to_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the second command a newcomer types, perhaps the first."""
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(tmp_path))
    monkeypatch.delenv("UKETSUKE_URL", raising=False)

    assert demo.main() == 1

    assert "make run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [((0, 0), 0), ((0, 5), 0), ((5, 5), 5), ((1, 0), 1), ((0, 1), 1), ((-9, 0), -9)],
)
def test_a_part_of_the_suite_that_failed_fails_it(codes: tuple[int, int], verdict: int) -> None:
    """A second part that passes, or selects nothing, must not hide what the first one found."""
    assert suite._sum_up(*codes) == verdict
