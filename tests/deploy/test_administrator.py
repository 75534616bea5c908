"""The first key: made in a cluster by a pod that has the right to, and runs only when wanted."""

import re
from typing import Any, Final

import pytest

from deploy.check.doors import EVERYWHERE
from deploy.check.rendered import Workload
from deploy.local.record import ROOT
from tests.deploy.manifests import rendered
from tests.deploy.test_images import stage

NAME: Final = "uketsuke-administrator"
PAGE: Final = (ROOT / "docs" / "deployment.md").read_text("utf-8")


def workload(name: str) -> Workload:
    return next(found for found in rendered("production").ours if found.name == name)


def document() -> Any:
    return rendered("production").named("CronJob", NAME)


def test_it_never_runs_by_itself_and_never_for_long() -> None:
    """It may change the schema: such a pod must not be forgotten."""
    spec = document()["spec"]

    assert spec["suspend"] is True
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 900
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_it_has_the_rights_of_the_job_that_makes_the_schema() -> None:
    """No service may make a key: whoever took one over would make himself at home."""
    volumes = {name: workload(name).pod["volumes"] for name in (NAME, "uketsuke-prepare")}

    assert volumes[NAME] == volumes["uketsuke-prepare"]
    assert workload(NAME).labels["app.kubernetes.io/part-of"] == "uketsuke"  # it may reach stores


def test_its_image_has_the_command() -> None:
    """The front's image has none: it needs none."""
    images = {container["image"] for container in workload(NAME).containers}

    assert {image.rpartition("/")[2].partition(":")[0] for image in images} == {"uketsuke-back"}
    assert "\nCOPY uketsuke /app/uketsuke" in stage("back")


def test_the_page_names_what_is_there() -> None:
    """Its reader has an empty cluster and types line by line."""
    assert f"create job first-key --from=cronjob/{NAME}" in PAGE
    assert "exec job/first-key -- python -m uketsuke keys create" in PAGE
    calls = re.findall(r"^ *curl .*api/.*", PAGE.partition("## A cluster")[2], re.MULTILINE)
    assert calls
    assert all('-H "Authorization: Bearer $KEY"' in call for call in calls)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "Job", "CronJob"])
def test_every_resource_that_a_command_names_exists(kind: str) -> None:
    """A slip in a name is an error message to somebody who knows nothing yet."""
    there = {found["metadata"]["name"] for found in rendered("production").of(kind)}
    named = set(re.findall(rf"(?<![a-z]){kind.lower()}/([a-z-]+)", PAGE)) - {"first-key"}

    assert named
    assert named <= there


def test_every_file_that_a_command_names_exists() -> None:
    """Paths are those of the repository, from its root."""
    named = set(re.findall(r"(?<=[ =])deploy/[\w./-]+", PAGE)) - {"deploy/docker/.env"}

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_forwarded_port_finds_somebody() -> None:
    """It comes in by the loopback of the pod, whatever addresses the pod has besides."""
    (container,) = workload("uketsuke-front").pod["containers"]
    told = rendered("production").settings(container, "10.1.2.3")

    assert told["UKETSUKE_HOST"] in EVERYWHERE
    assert told["UKETSUKE_PROBE_HOST"] in EVERYWHERE
