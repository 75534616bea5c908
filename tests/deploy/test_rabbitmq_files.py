"""The private RabbitMQ node before it runs: its files, its ports, its programs."""

import socket
import subprocess
from pathlib import Path

import pytest

from deploy.local import deb_packages, rabbitmq_programs
from deploy.local.processes import CannotStart
from deploy.local.rabbitmq import PortLost, RabbitMQ
from deploy.local.rabbitmq_ports import Ports
from deploy.local.rabbitmq_programs import Programs
from deploy.local.stack import silence


def unstarted(folder: Path) -> RabbitMQ:
    """Make a node that is never started."""
    return RabbitMQ(folder, programs=Programs(sbin=folder / "sbin", erlang=None))


def test_an_interrupted_first_boot_is_done_anew(tmp_path: Path) -> None:
    """The user is made at the first boot only: half of one would lock us out for ever."""
    half = tmp_path / "mnesia" / "half.of"
    half.mkdir(parents=True)

    unstarted(tmp_path)._prepare()

    assert not half.exists()


def test_a_complete_first_boot_is_never_done_anew(tmp_path: Path) -> None:
    """What the broker confirmed is data."""
    data = tmp_path / "mnesia" / "data"
    data.mkdir(parents=True)
    (tmp_path / "initialised").touch()

    unstarted(tmp_path)._prepare()

    assert data.exists()


def test_the_ports_are_those_of_the_last_time(tmp_path: Path) -> None:
    """An address that was copied into another terminal stays good."""
    first = unstarted(tmp_path)
    first._prepare()

    assert unstarted(tmp_path).ports == first.ports


def test_unreadable_ports_are_chosen_anew(tmp_path: Path) -> None:
    """A file cut short by a full disk is no reason to stay down."""
    (tmp_path / "ports.json").write_text('{"amqp": 1')

    assert unstarted(tmp_path).ports.are_free()


def test_a_taken_port_is_noticed() -> None:
    """Two stacks must not fight for one."""
    ports = Ports.choose()
    with socket.create_server(("127.0.0.1", ports.distribution)):
        assert not ports.are_free()

    assert ports.are_free()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("=ERROR==\n  {could_not_start_listener,'127.0.0.1',5,eaddrinuse}\n", PortLost),
        ("ERROR: could not bind to distribution port 2, it is in use", PortLost),
        ('ERROR: node with name "x" is already running on host', CannotStart),
    ],
)
def test_of_a_failed_boot_one_line_is_told(
    tmp_path: Path, said: str, kind: type[CannotStart]
) -> None:
    """A boot that fails prints pages; a lost port among them means: try others."""
    (tmp_path / "start.log").write_text(f"\nBOOT FAILED\n===========\n{said}\nmore\nand more\n")

    why = unstarted(tmp_path)._why_not()

    assert type(why) is kind
    assert said.strip().splitlines()[-1].strip() in str(why)
    assert "and more" not in str(why)


def test_fetched_erlang_is_told_where_it_lies(tmp_path: Path) -> None:
    """Else the scripts silently start an Erlang of the system; and a project may be moved."""
    first, moved = tmp_path / "first & söhne's", tmp_path / "moved #2"
    script = first / "bin" / "erl"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\n    ROOTDIR=/usr/lib/erlang\nprintf %s "$ROOTDIR"\n')
    script.chmod(0o755)

    rabbitmq_programs._set_root(first)
    assert subprocess.check_output([script], text=True) == str(first)

    first.rename(moved)
    rabbitmq_programs._set_root(moved)
    assert subprocess.check_output([moved / "bin" / "erl"], text=True) == str(moved)


def test_without_any_rabbitmq_the_ways_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has none must learn in one message how to get one."""
    monkeypatch.setattr(rabbitmq_programs, "_is_complete", lambda _sbin: False)
    monkeypatch.setattr(deb_packages, "can_fetch", lambda: False)

    with pytest.raises(CannotStart) as told:
        rabbitmq_programs.find_programs(tmp_path / "dist", silence, {})

    for way in ("apt-get", "brew", "UKETSUKE_RABBITMQ_SBIN", "docker", "UKETSUKE_AMQP_URL"):
        assert way in str(told.value)


def test_a_wrong_folder_of_scripts_is_one_clear_line(tmp_path: Path) -> None:
    """A slip in a variable must not be answered with a traceback."""
    with pytest.raises(CannotStart, match=r"UKETSUKE_RABBITMQ_SBIN=.* does not hold"):
        rabbitmq_programs.find_programs(
            tmp_path / "dist", silence, {"UKETSUKE_RABBITMQ_SBIN": str(tmp_path)}
        )
