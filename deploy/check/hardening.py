"""What every rendering of the manifests must keep, each rule a promise and its complaints.

Pure: a rule looks at documents and says what is wrong with them, or nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, Final

from deploy.check.doors import asks_for_keys, can_be_scraped, keeps_an_open_house_shut
from deploy.check.rendered import Document, Manifests, Workload

Rule = Callable[[Manifests], Iterator[str]]

_PROXIES_HEAR_WITHIN: Final = 5  # seconds after which nobody sends to a pod that goes
_AFTER_THE_DRAIN: Final = 5  # seconds for what follows it
_HOSTS: Final = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES: Final = {"secret", "persistentVolumeClaim", "emptyDir", "configMap"}
_BARE: Final = ("cpu", "memory", "ephemeral-storage")
_BUCKET: Final = "bucket"
_NARROW: Final = {4: 20, 6: 48}  # bits of a block's prefix, by version
_NO_SECRETS: Final = frozenset({"UKETSUKE_BLOB_URL"})  # by its pattern it has room for none
_PRIVATE: Final = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                 "127.0.0.0/8", "100.64.0.0/10")
)  # fmt: skip


def runs_restricted(manifests: Manifests) -> Iterator[str]:
    """No root, no privilege, no capability, no part of the host."""
    for workload in manifests.workloads:
        pod = workload.pod.get("securityContext", {})
        if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser"):
            yield f"{workload.name}: may run as root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{workload.name}: seccomp profile"
        yield from (f"{workload.name}: {key}" for key in _HOSTS if workload.pod.get(key))
        for volume in workload.pod.get("volumes", ()):
            if not set(volume) - {"name"} <= _VOLUMES:
                yield f"{workload.name}: volume {volume['name']}"
        for container in workload.containers:
            yield from _locked(workload, container)


def _locked(workload: Workload, container: Mapping[str, Any]) -> Iterator[str]:
    where, context = f"{workload.name}/{container['name']}", container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield f"{where}: may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{where}: capabilities"
    if workload.is_ours and context.get("readOnlyRootFilesystem") is not True:
        yield f"{where}: writable root"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"{where}: a port of the host"


def enforces_restricted(manifests: Manifests) -> Iterator[str]:
    """The namespace refuses whatever forgets it."""
    labels = manifests.named("Namespace", "uketsuke")["metadata"]["labels"]
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace does not enforce it"


def has_no_token(manifests: Manifests) -> Iterator[str]:
    """Nobody here asks the cluster anything."""
    for account in manifests.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"service account {account['metadata']['name']}"
    for workload in manifests.workloads:
        if workload.pod.get("automountServiceAccountToken") is not False:
            yield workload.name
        if workload.is_ours and workload.pod.get("serviceAccountName") in (None, "default"):
            yield f"{workload.name}: the default account"


def is_bounded(manifests: Manifests) -> Iterator[str]:
    """What asks for nothing is moved about; what has no limit starves its neighbours."""
    for workload in manifests.workloads:
        for container in workload.containers:
            for part in ("requests", "limits"):
                given = container.get("resources", {}).get(part, {})
                if missing := [name for name in _BARE if name not in given]:
                    yield f"{workload.name}/{container['name']}: {part} {', '.join(missing)}"


def survives_a_node(manifests: Manifests) -> Iterator[str]:
    """Spread over nodes and zones, and never all evicted at once."""
    budgets = [found["spec"] for found in manifests.of("PodDisruptionBudget")]
    for workload in manifests.ours:
        if workload.kind != "Deployment":
            continue
        selector = workload.spec["selector"]
        if not [b for b in budgets if b["selector"] == selector and b.get("maxUnavailable") == 1]:
            yield f"{workload.name}: no disruption budget"
        spread = {c["topologyKey"] for c in workload.pod.get("topologySpreadConstraints", ())}
        if spread != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            yield f"{workload.name}: spread over {sorted(spread)}"


def ends_in_peace(manifests: Manifests) -> Iterator[str]:
    """Grace above what comes before the signal, the drain, and what follows it."""
    for workload in manifests.ours:
        if workload.kind != "Deployment":
            continue
        (container,) = workload.pod["containers"]
        before = _slept(container)
        drain = float(manifests.settings(container, "127.0.0.1")["UKETSUKE_DRAIN"])
        if (
            workload.pod.get("terminationGracePeriodSeconds", 30)
            < before + drain + _AFTER_THE_DRAIN
        ):
            yield f"{workload.name}: killed while it drains"
        if _is_called(manifests, workload) and before < _PROXIES_HEAR_WITHIN:
            yield f"{workload.name}: ends while it is still being called"


def _slept(container: Mapping[str, Any]) -> float:
    hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ())
    return float(hook[1]) if hook[:1] == ["sleep"] else 0.0


def _is_called(manifests: Manifests, workload: Workload) -> bool:
    wanted = (service["spec"]["selector"] for service in manifests.of("Service"))
    return any(selector.items() <= workload.labels.items() for selector in wanted)


def rolls_without_a_gap(manifests: Manifests) -> Iterator[str]:
    """The new is ready before the old goes."""
    for workload in manifests.ours:
        if workload.kind == "Deployment":
            way = workload.spec.get("strategy", {}).get("rollingUpdate", {})
            if way.get("maxUnavailable") != 0 or not way.get("maxSurge"):
                yield workload.name


def is_probed(manifests: Manifests) -> Iterator[str]:
    """Alive looks at the loop alone, ready at what it stands on: else an outage kills all pods."""
    wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for workload in manifests.ours:
        for container in workload.pod["containers"] if workload.kind == "Deployment" else ():
            for probe, path in wanted.items():
                if container.get(probe, {}).get("httpGet", {}).get("path") != path:
                    yield f"{workload.name}: {probe}"


def denies_by_default(manifests: Manifests) -> Iterator[str]:
    """Both ways, for every pod of ours; what is open stands in policies of its own."""
    for policy in manifests.of("NetworkPolicy"):
        spec, place = policy["spec"], policy["metadata"]["namespace"]
        closes = not spec.get("ingress") and not spec.get("egress") and spec["podSelector"] == {}
        if place == "uketsuke" and closes and set(spec["policyTypes"]) == {"Ingress", "Egress"}:
            return
    yield "no policy denies everything"


def keeps_to_itself(manifests: Manifests) -> Iterator[str]:
    """Only who fetches may leave, to no private address; all others to the store of files."""
    for policy in manifests.of("NetworkPolicy"):
        name, spec = policy["metadata"]["name"], policy["spec"]
        for way in spec.get("egress", ()):
            blocks = [peer["ipBlock"] for peer in way.get("to", ()) if "ipBlock" in peer]
            if not way.get("to") or not way.get("ports"):
                yield f"{name}: open to everybody"
            if name == _BUCKET:
                yield from (f"{name}: {block['cidr']} is no store" for block in _wide(blocks))
                continue
            if blocks and spec["podSelector"].get("matchLabels") != {"uketsuke/fetches": "yes"}:
                yield f"{name}: lets others than fetching pools out"
            yield from (f"{name}: {text}" for block in blocks for text in _leaks(block))
        for way in spec.get("ingress", ()):
            if not way.get("from") or not way.get("ports"):
                yield f"{name}: open to everybody"


def _wide(blocks: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Name the blocks that are too large to be the addresses of one store."""
    for block in blocks:
        whole = ip_network(block["cidr"])
        if whole.prefixlen < _NARROW[whole.version]:
            yield block


def _leaks(block: Mapping[str, Any]) -> Iterator[str]:
    whole = ip_network(block["cidr"])
    excepted = [ip_network(text) for text in block.get("except", ())]
    for private in _PRIVATE:
        if whole.version == private.version and whole.overlaps(private) and private not in excepted:
            yield f"{private} can be reached"


def keeps_secrets_in_files(manifests: Manifests) -> Iterator[str]:
    """An environment is shown by every crash and inherited by every child."""
    for workload in manifests.ours:
        for container in workload.containers:
            told = manifests.settings(container, "127.0.0.1")
            for name in told:
                is_secret = any(word in name for word in ("_URL", "PASSWORD", "TOKEN", "_KEY"))
                if is_secret and name not in _NO_SECRETS:
                    yield f"{workload.name}/{container['name']}: {name}"
            if any("secretRef" in source for source in container.get("envFrom", ())):
                yield f"{workload.name}/{container['name']}: a secret as environment"
            if told.get("UKETSUKE_SECRETS_DIR") not in _read_only(container):
                yield f"{workload.name}/{container['name']}: no folder of secrets"
        for volume in workload.pod.get("volumes", ()):
            if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & 0o007:
                yield f"{workload.name}: {volume['name']} can be read by everybody"


def _read_only(container: Mapping[str, Any]) -> set[str]:
    mounts = container.get("volumeMounts", ())
    return {mount["mountPath"] for mount in mounts if mount.get("readOnly")}


def keeps_figures_apart(manifests: Manifests) -> Iterator[str]:
    """No caller from outside reads /metrics, or asks a probe."""
    for service in manifests.of("Service"):
        if any(port.get("targetPort") in ("probes", 9090) for port in service["spec"]["ports"]):
            yield f"service {service['metadata']['name']}"
    front = next(w for w in manifests.ours if w.name == "uketsuke-front")
    told = manifests.settings(front.pod["containers"][0], "127.0.0.1")
    if told.get("UKETSUKE_PROBE_PORT") in (None, told["UKETSUKE_PORT"]):
        yield "the front has no port of its own for them"


def hides_from_strangers(manifests: Manifests) -> Iterator[str]:
    """The links that a cluster puts into environments look like settings of ours."""
    for workload in manifests.ours:
        if workload.pod.get("enableServiceLinks") is not False:
            yield workload.name


def names_its_images(manifests: Manifests) -> Iterator[str]:
    """What a tag of no version runs is not known."""
    for workload in manifests.workloads:
        for container in workload.containers:
            image = container["image"].rpartition("/")[2]
            tag = image.partition("@")[0].partition(":")[2]
            if "@sha256:" not in image and (not tag or tag == "latest"):
                yield f"{workload.name}/{container['name']}: {container['image']}"


def fits_its_database(manifests: Manifests) -> Iterator[str]:
    """All pods at their most connect to four fifths of what the database takes."""
    found = [c["spec"] for c in manifests.of("Cluster")]
    if not found:
        return
    most = int(found[0]["postgresql"]["parameters"]["max_connections"])
    wanted = sum(_most(manifests, w) * _connections(manifests, w) for w in manifests.ours)
    if wanted > most * 0.8:
        yield f"{wanted} connections of {most}"


def _most(manifests: Manifests, workload: Workload) -> int:
    for scaler in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        spec: Document = scaler["spec"]
        if spec["scaleTargetRef"]["name"] == workload.name:
            return int(spec.get("maxReplicas") or spec["maxReplicaCount"]) + 1  # one that rolls
    return int(workload.spec.get("replicas", 1)) + 1


def _connections(manifests: Manifests, workload: Workload) -> int:
    if workload.kind != "Deployment":
        return 1
    told = manifests.settings(workload.pod["containers"][0], "127.0.0.1")
    return int(told.get("UKETSUKE_POOL_SIZE", 8)) + 4


RULES: Final[Mapping[str, Rule]] = {
    "runs restricted": runs_restricted,
    "the namespace enforces it": enforces_restricted,
    "no token of a service account": has_no_token,
    "requests and limits": is_bounded,
    "survives the loss of a node": survives_a_node,
    "ends within its grace": ends_in_peace,
    "rolls without a gap": rolls_without_a_gap,
    "is probed": is_probed,
    "denies by default, both ways": denies_by_default,
    "only fetching pools may leave": keeps_to_itself,
    "secrets are files": keeps_secrets_in_files,
    "figures on a port of their own": keeps_figures_apart,
    "figures can be scraped": can_be_scraped,
    "callers show a key": asks_for_keys,
    "without keys no way in": keeps_an_open_house_shut,
    "no links to services": hides_from_strangers,
    "images have a version": names_its_images,
    "fits its database": fits_its_database,
}


_NOT_FOR: Final[Mapping[str, frozenset[str]]] = {"dev": frozenset({"callers show a key"})}
"""What a rendering need not keep: at a desk anybody may submit."""


def rules_for(overlay: str) -> Mapping[str, Rule]:
    """Give the rules that the rendering *overlay* must keep."""
    spared = _NOT_FOR.get(overlay, frozenset())
    return {promise: rule for promise, rule in RULES.items() if promise not in spared}
