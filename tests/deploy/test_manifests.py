"""The manifests: what a cluster would get, held against schemas and the hardening rules."""

import os
from collections.abc import Callable
from typing import Any, Final

import pytest

from deploy.check.doors import EVERYWHERE
from deploy.check.hardening import RULES, rules_for
from deploy.check.manifests import VERSIONS, of_kubernetes, of_ours, schemas
from deploy.check.rendered import OVERLAYS
from shared.contract.addresses import PUBLIC_PORTS
from shared.contract.networks import _DENIED, _WORLD
from shared.runtime.settings import BackSettings, FrontSettings, read_settings, unknown_names
from tests.deploy.manifests import rendered, spoiled
from tests.rights.databases import ROLES

FRONT: Final = "uketsuke-front"
BACK: Final = "uketsuke-back-default"


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_fits_the_schemas_strictly(overlay: str, version: str) -> None:
    """A member with a slip of the pen is dropped in silence by a cluster, or refused at night."""
    assert of_kubernetes(rendered(overlay), version) == ""


def test_custom_resources_fit_our_own_schemas(overlay: str) -> None:
    """No validator knows them."""
    assert list(of_ours(rendered(overlay))) == []


def test_every_schema_of_ours_is_used() -> None:
    """One that nothing is held against proves nothing."""
    documents = rendered("production").documents
    assert set(schemas()) == {f"{d['apiVersion']}/{d['kind']}" for d in documents} & set(schemas())


@pytest.mark.parametrize(
    ("overlay", "promise"),
    [(overlay, promise) for overlay in OVERLAYS for promise in rules_for(overlay)],
)
def test_the_hardening_rules_hold(overlay: str, promise: str) -> None:
    """Each line of the security checklist, on what a cluster would really get."""
    assert list(RULES[promise](rendered(overlay))) == []


def test_a_try_alone_is_spared_a_rule_and_only_that_of_keys() -> None:
    """Whoever deploys what lies here gets a desk that asks who calls."""
    assert {overlay: set(RULES) - set(rules_for(overlay)) for overlay in OVERLAYS} == {
        "dev": {"callers show a key"},
        "production": set(),
        "bucket": set(),
    }


def test_with_a_bucket_no_folder_is_shared() -> None:
    """Else pods would wait for a volume that nobody needs."""
    found = rendered("bucket")
    volumes = [v["name"] for one in found.ours for v in one.pod.get("volumes", ())]
    mounts = [m["name"] for one in found.ours for c in one.containers for m in c["volumeMounts"]]

    assert "blobs" in [v["name"] for one in rendered("production").ours for v in one.pod["volumes"]]
    assert {"blobs"} & {*volumes, *mounts} == set()
    assert found.of("PersistentVolumeClaim") == []
    for workload in found.ours:
        for container in workload.containers:
            assert found.settings(container, "::")["UKETSUKE_BLOB_URL"].startswith("s3://")


@pytest.mark.parametrize("block", ["0.0.0.0/0", "10.0.0.0/8", "52.219.0.0/16", "2000::/3"])
def test_the_way_to_the_bucket_is_no_way_out(block: str) -> None:
    """All pods have it: it leads to the addresses of one store."""
    wide = spoiled(
        rendered("bucket"),
        "NetworkPolicy",
        "bucket",
        lambda d: d["spec"]["egress"][0]["to"][0]["ipBlock"].update(cidr=block),
    )

    assert list(RULES["only fetching pools may leave"](rendered("bucket"))) == []
    assert list(RULES["only fetching pools may leave"](wide)) == [f"bucket: {block} is no store"]


def _pod(found: Any) -> Any:
    return found["spec"]["template"]["spec"]


def _container(found: Any) -> Any:
    return _pod(found)["containers"][0]


def _let_anybody_in(found: Any) -> None:
    _container(found)["env"].append({"name": "UKETSUKE_ALLOW_ANONYMOUS", "value": "yes"})


SPOILS: Final[list[tuple[str, str, str, Callable[[Any], Any]]]] = [
    ("runs restricted", "Deployment", FRONT,
     lambda d: _pod(d)["securityContext"].update(runAsNonRoot=False)),
    ("runs restricted", "Deployment", FRONT,
     lambda d: _container(d)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("runs restricted", "Deployment", BACK,
     lambda d: _container(d)["securityContext"]["capabilities"].update(add=["NET_ADMIN"])),
    ("runs restricted", "Deployment", BACK,
     lambda d: _pod(d)["volumes"].append({"name": "host", "hostPath": {"path": "/"}})),
    ("the namespace enforces it", "Namespace", "uketsuke",
     lambda d: d["metadata"]["labels"].clear()),
    ("no token of a service account", "ServiceAccount", FRONT,
     lambda d: d.pop("automountServiceAccountToken")),
    ("no token of a service account", "Deployment", BACK,
     lambda d: _pod(d).update(automountServiceAccountToken=True)),
    ("requests and limits", "Deployment", FRONT,
     lambda d: _container(d)["resources"]["limits"].pop("memory")),
    ("survives the loss of a node", "PodDisruptionBudget", FRONT,
     lambda d: d["spec"].update(maxUnavailable=2)),
    ("survives the loss of a node", "Deployment", BACK,
     lambda d: _pod(d)["topologySpreadConstraints"].pop()),
    ("ends within its grace", "Deployment", BACK,
     lambda d: _pod(d).update(terminationGracePeriodSeconds=29)),
    ("ends within its grace", "Deployment", FRONT, lambda d: _container(d).pop("lifecycle")),
    ("rolls without a gap", "Deployment", FRONT,
     lambda d: d["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ("is probed", "Deployment", FRONT,
     lambda d: _container(d)["livenessProbe"]["httpGet"].update(path="/readyz")),
    ("denies by default, both ways", "NetworkPolicy", "deny-all",
     lambda d: d["spec"].update(policyTypes=["Ingress"])),
    ("only fetching pools may leave", "NetworkPolicy", "public-addresses",
     lambda d: d["spec"]["egress"][0]["to"][0]["ipBlock"]["except"].remove("10.0.0.0/8")),
    ("only fetching pools may leave", "NetworkPolicy", "public-addresses",
     lambda d: d["spec"].update(podSelector={})),
    ("only fetching pools may leave", "NetworkPolicy", "callers",
     lambda d: d["spec"]["ingress"][0].pop("from")),
    ("secrets are files", "Deployment", FRONT,
     lambda d: _container(d)["env"].append({"name": "UKETSUKE_AMQP_URL", "value": "amqp://x"})),
    ("secrets are files", "Deployment", BACK,
     lambda d: _pod(d)["volumes"][0]["secret"].update(defaultMode=0o444)),
    ("figures on a port of their own", "Service", FRONT,
     lambda d: d["spec"]["ports"].append({"name": "m", "port": 90, "targetPort": "probes"})),
    ("figures on a port of their own", "ConfigMap", "uketsuke-settings",
     lambda d: d["data"].update(UKETSUKE_PROBE_PORT="8080")),
    ("figures can be scraped", "ConfigMap", "uketsuke-settings",
     lambda d: d["data"].update(UKETSUKE_PROBE_PORT="9091")),
    ("figures can be scraped", "Deployment", FRONT,
     lambda d: d["spec"]["template"]["metadata"]["annotations"].pop("prometheus.io/port")),
    ("figures can be scraped", "ConfigMap", "uketsuke-settings",
     lambda d: d["data"].pop("UKETSUKE_PROBE_HOST")),
    ("figures can be scraped", "NetworkPolicy", "figures",
     lambda d: d["spec"]["ingress"].clear()),
    ("callers show a key", "Deployment", FRONT,
     lambda d: _container(d)["env"].append({"name": "UKETSUKE_AUTH", "value": "auto"})),
    ("callers show a key", "Deployment", FRONT, _let_anybody_in),
    ("without keys no way in", "Deployment", FRONT, _let_anybody_in),
    ("no links to services", "Deployment", BACK, lambda d: _pod(d).pop("enableServiceLinks")),
    ("images have a version", "Deployment", FRONT,
     lambda d: _container(d).update(image="registry.example.com:5000/uketsuke-front")),
    ("fits its database", "ScaledObject", BACK,
     lambda d: d["spec"].update(maxReplicaCount=200)),
]  # fmt: skip
"""One change each that a rule must notice."""


@pytest.mark.parametrize(("promise", "kind", "name", "spoil"), SPOILS)
def test_a_rule_notices_what_breaks_it(
    promise: str, kind: str, name: str, spoil: Callable[[Any], Any]
) -> None:
    """A rule that nothing can break guards nothing."""
    assert list(RULES[promise](spoiled(rendered("production"), kind, name, spoil))) != []


def test_every_rule_is_seen_to_bite() -> None:
    """Whoever writes a rule shows what it is for."""
    assert {promise for promise, *_ in SPOILS} == set(RULES)


def test_the_schemas_notice_a_slip_of_the_pen() -> None:
    """Both kinds: theirs and ours."""
    production = rendered("production")
    theirs = spoiled(production, "Deployment", FRONT, lambda d: d["spec"].update(replica=3))
    ours = spoiled(production, "ScaledObject", BACK, lambda d: d["spec"].update(maxReplicas=3))

    assert "replica" in of_kubernetes(theirs, VERSIONS[-1])
    assert any("maxReplicas" in line for line in of_ours(ours))


@pytest.mark.parametrize("name", [FRONT, BACK, "uketsuke-upkeep"])
def test_the_services_take_the_settings_that_the_manifests_give(
    overlay: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A pod that refuses its settings is restarted until somebody reads its log."""
    manifests = rendered(overlay)
    (workload,) = (found for found in manifests.ours if found.name == name)
    settings = manifests.settings(workload.pod["containers"][0], "10.1.2.3")
    for known in [known for known in os.environ if known.startswith("UKETSUKE_")]:
        monkeypatch.delenv(known)
    (tmp_path / "uketsuke_database_url").write_text("postgresql://x/y")
    (tmp_path / "uketsuke_amqp_url").write_text("amqp://x/")
    for variable, value in (settings | {"UKETSUKE_SECRETS_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(variable, value)

    read = read_settings(FrontSettings if name == FRONT else BackSettings)

    assert unknown_names() == []
    assert read.probe_host in EVERYWHERE
    assert read.probe_port == 9090
    assert read.declare_topology is False


def test_upkeep_and_work_are_each_somebodys() -> None:
    """With no pool left awake somebody must still make jobs due, rescue them and clean up."""
    roles = {
        workload.name: rendered("production")
        .settings(workload.pod["containers"][0], "127.0.0.1")
        .get("UKETSUKE_ROLES")
        for workload in rendered("production").ours
    }

    assert roles[BACK] == "work"
    assert roles["uketsuke-upkeep"] == "upkeep"


def test_who_fetches_may_reach_what_the_guard_lets_through_and_nothing_else() -> None:
    """Two guards that disagree are a job that fails, or a hole."""
    policy = rendered("production").named("NetworkPolicy", "public-addresses")
    (way,) = policy["spec"]["egress"]
    excepted = {text for peer in way["to"] for text in peer["ipBlock"]["except"]}

    assert {str(network) for network in _DENIED} <= excepted
    assert {peer["ipBlock"]["cidr"] for peer in way["to"]} == {"0.0.0.0/0", str(_WORLD)}
    assert {port["port"] for port in way["ports"]} == set(PUBLIC_PORTS)


def test_streams_live_longer_than_the_proxy_s_patience() -> None:
    """An event stream that a proxy cuts or buffers is none."""
    notes = rendered("production").named("Ingress", "uketsuke")["metadata"]["annotations"]
    told = {name.rpartition("/")[2]: value for name, value in notes.items()}

    assert int(told["proxy-read-timeout"]) >= 3600
    assert int(told["proxy-send-timeout"]) >= 3600
    assert told["proxy-buffering"] == told["proxy-request-buffering"] == "off"
    assert (
        int(told["proxy-body-size"].removesuffix("m")) * 2**20
        >= FrontSettings.model_fields["max_upload"].get_default()
    )


def test_pods_wait_for_the_schema_before_they_start() -> None:
    """Else the first minute of a deploy is a crash loop."""
    for workload in rendered("production").ours:
        (first,) = workload.pod["initContainers"]
        is_job = workload.kind == "Job"
        assert (
            first["command"]
            == ["python", "-m", "shared.store.migrate", "--wait"][: 3 + (not is_job)]
        )


def test_no_secret_is_committed_for_production() -> None:
    """What is committed is known."""
    assert rendered("production").of("Secret") == []


def test_the_roles_of_the_database_are_those_that_are_tested() -> None:
    """The operator makes the very file that the tests run."""
    roles = rendered("production").named("ConfigMap", "uketsuke-database-roles")
    assert roles["data"]["roles.sql"] == ROLES.read_text("utf-8")
