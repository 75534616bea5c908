"""Rules for who gets in: callers show a key, and Prometheus scrapes where none is asked for.

Pure, as all rules: a rule looks at documents and says what is wrong with them, or nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.check.rendered import Manifests, Workload

_FRONT: Final = "uketsuke-front"
_SCRAPE: Final = "prometheus.io"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  of a pod, which is what its policies let in


def asks_for_keys(manifests: Manifests) -> Iterator[str]:
    """Nobody is served without a key; a network policy alone is no lock."""
    told = _of_the_front(manifests)
    if told.get("UKETSUKE_AUTH") != "required":
        yield "the front does not ask for a key"
    if told.get("UKETSUKE_ALLOW_ANONYMOUS", "no") != "no":
        yield "the front takes anybody"


def keeps_an_open_house_shut(manifests: Manifests) -> Iterator[str]:
    """Where anybody is served, nobody comes in from outside the cluster."""
    if _of_the_front(manifests).get("UKETSUKE_ALLOW_ANONYMOUS", "no") == "no":
        return
    yield from (f"Ingress {found['metadata']['name']}" for found in manifests.of("Ingress"))
    for service in manifests.of("Service"):
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"service {service['metadata']['name']}: {service['spec']['type']}"


def _of_the_front(manifests: Manifests) -> Mapping[str, str]:
    front = next(workload for workload in manifests.ours if workload.name == _FRONT)
    return manifests.settings(front.pod["containers"][0], "127.0.0.1")


def can_be_scraped(manifests: Manifests) -> Iterator[str]:
    """On the port of the probes, which asks for no key, and which monitoring may reach."""
    for workload in manifests.ours:
        if workload.kind == "Deployment":
            yield from (f"{workload.name}: {text}" for text in _unseen(manifests, workload))


def _unseen(manifests: Manifests, workload: Workload) -> Iterator[str]:
    (container,) = workload.pod["containers"]
    told = manifests.settings(container, "127.0.0.1")
    port = told.get("UKETSUKE_PROBE_PORT", "")
    notes = workload.spec["template"]["metadata"].get("annotations", {})
    wanted = {"scrape": "true", "port": port, "path": "/metrics"}
    for name, value in wanted.items():
        if notes.get(f"{_SCRAPE}/{name}") != value:
            yield f"the annotation {name} is not {value!r}"
    if told.get("UKETSUKE_PROBE_HOST") not in EVERYWHERE:
        yield "its probes are not on every address of the pod"
    if port not in {str(found["containerPort"]) for found in container["ports"]}:
        yield f"{port} is no port of the container"
    if not any(_lets_monitoring_in(policy, workload, port) for policy in _policies(manifests)):
        yield f"monitoring may not reach {port}"


def _policies(manifests: Manifests) -> Iterator[Mapping[str, Any]]:
    for policy in manifests.of("NetworkPolicy"):
        if policy["metadata"]["namespace"] == "uketsuke":
            yield policy["spec"]


def _lets_monitoring_in(policy: Mapping[str, Any], workload: Workload, port: str) -> bool:
    selector = policy["podSelector"].get("matchLabels", {})
    peer = {"namespaceSelector": {"matchLabels": {"uketsuke/monitoring": "yes"}}}
    return selector.items() <= workload.labels.items() and any(
        peer in way.get("from", ()) and port in {str(found["port"]) for found in way["ports"]}
        for way in policy.get("ingress", ())
    )
