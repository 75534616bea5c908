"""What the images and the compose file promise, as far as their text tells."""

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml

from deploy.check.images import DOCKERFILE, TARGETS, lint
from deploy.local.commands import IMAGES, RUN
from deploy.local.record import ROOT

COMPOSE: Final = yaml.safe_load((DOCKERFILE.parent / "compose.yaml").read_text("utf-8"))
OURS: Final = ("front", "back", "migrate")
_PIN: Final = re.compile(r"^(\S+==\S+)[^\n]*((?:\n    --hash=\S+ ?\\?)+)", re.MULTILINE)


def stage(name: str) -> str:
    """Read the part of the Dockerfile that makes one of its stages."""
    text = DOCKERFILE.read_text("utf-8")
    found = re.search(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found.group(1)


def pins(lock: str) -> dict[str, frozenset[str]]:
    """Read a lock: what it pins, and to which hashes."""
    text = RUN.with_name(lock).read_text("utf-8").replace(" \\\n", "\n")
    return {pin: frozenset(re.findall(r"sha256:\w+", hashes)) for pin, hashes in _PIN.findall(text)}


def test_the_dockerfile_is_clean() -> None:
    """A linter knows traps that nobody remembers."""
    assert str(lint()) == "sound        hadolint"


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_its_service_as_somebody_without_rights(target: str) -> None:
    """A shell between would swallow the signal; root would own the machine with one bug more."""
    text = stage(target)

    assert f'\nCMD ["python", "-m", "{target}_service"]' in text
    assert "\nUSER 10001:10001" in text
    assert "\nSTOPSIGNAL SIGTERM" in text
    assert "\nHEALTHCHECK" in text
    assert "ENTRYPOINT" not in text


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_installs_nothing_but_what_its_lock_has_the_hash_of(target: str) -> None:
    """What runs there is byte for byte what was tried here."""
    text = stage(f"{target}-packages")

    for word in ("--require-hashes", "--no-deps", "--only-binary=:all:", f"{target}.lock"):
        assert word in text, word
    assert "pip" not in stage(target)


@pytest.mark.parametrize("target", TARGETS)
def test_the_lock_of_an_image_is_part_of_the_lock_of_all(target: str) -> None:
    """No image runs a version that the tests have not seen."""
    ours, all_of_them = pins(f"{target}.lock"), pins("run.lock")

    assert len(ours) > 30
    assert all(hashes for hashes in ours.values())
    assert ours.items() <= all_of_them.items()


def test_extras_are_only_where_a_worker_needs_them() -> None:
    """A front that reads no document needs no reader of documents."""
    assert "documents" in IMAGES["back"]
    assert not [
        pin for pin in pins("front.lock") if pin.startswith(("numpy", "pypdfium2", "fpdf2"))
    ]


def test_whatever_is_copied_into_an_image_may_be_sent_to_the_builder() -> None:
    """The list of what may be sent is short, so that no secret ever is."""
    sent = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)

    wanted = {word for line in copied for word in line.split()}
    assert {f"!{word}" for word in wanted} == {line for line in sent if line.startswith("!")}
    assert all((ROOT / word).exists() for word in wanted)
    assert "*" in sent


@pytest.mark.parametrize("name", OURS)
def test_compose_locks_our_containers_in(name: str) -> None:
    """One host is no excuse: what a cluster forbids is forbidden there too."""
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "40s"


def test_compose_publishes_on_loopback_alone() -> None:
    """A port without an address is open to the whole network, past the firewall of the host."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_keeps_what_must_not_be_lost() -> None:
    """A container is thrown away at every update."""
    kept = {
        name: [volume.split(":")[0] for volume in service.get("volumes", ())]
        for name, service in COMPOSE["services"].items()
    }

    assert "database" in kept["postgres"]
    assert "broker" in kept["rabbitmq"]
    assert "blobs" in kept["front"]
    assert "blobs" in kept["back"]
    assert {v for found in kept.values() for v in found if not v.startswith(".")} == set(
        COMPOSE["volumes"]
    )


def test_compose_has_every_server_watched_and_every_service_wait() -> None:
    """A service of compose that starts too early is restarted for nothing."""
    services: Mapping[str, Any] = COMPOSE["services"]

    assert all(
        "healthcheck" in services[name] for name in services if name not in ("front", "back")
    )
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("front", "back"):
        waits = services[name]["depends_on"]["migrate"]["condition"]
        assert waits == "service_completed_successfully"


def test_compose_holds_no_password() -> None:
    """It is committed; what is committed is known."""
    text = (DOCKERFILE.parent / "compose.yaml").read_text("utf-8")

    assert set(re.findall(r"PASSWORD:? ?(\S*)", text)) & {"guest", "postgres", "secret"} == set()
    assert len(re.findall(r"\$\{\w+_PASSWORD:\?", text)) == text.count("_PASSWORD:?")


def test_three_nodes_find_each_other_and_no_minority_goes_on() -> None:
    """Two halves that both accept would be two truths."""
    nodes = [name for name in COMPOSE["services"] if re.fullmatch(r"rabbitmq-\d", name)]
    conf = (DOCKERFILE.parent / "cluster.conf").read_text("utf-8")

    assert {COMPOSE["services"][name]["hostname"] for name in nodes} == set(nodes)
    assert re.findall(r"nodes\.\d = rabbit@(\S+)", conf) == nodes
    assert "pause_minority" in conf
