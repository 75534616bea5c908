"""The manifests as a cluster would get them: rendered by ``kubectl kustomize``, then read."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml

from deploy.local import record

FOLDER: Final = record.ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = ("dev", "production", "bucket")
_PART_OF: Final = "app.kubernetes.io/part-of"

Document = Mapping[str, Any]


class NoRenderer(RuntimeError):
    """There is no ``kubectl`` here."""


class NotRendered(RuntimeError):
    """kustomize refuses; the text is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet or Job, of a CronJob its Job; with the pod that it makes."""

    kind: str
    name: str
    spec: Mapping[str, Any]

    @property
    def pod(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec["template"]["spec"]
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.spec["template"]["metadata"]["labels"]
        return found

    @property
    def is_ours(self) -> bool:
        return self.labels.get(_PART_OF) == "uketsuke"

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]


@dataclass(frozen=True, slots=True)
class Manifests:
    documents: tuple[Document, ...]

    def of(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind: str, name: str) -> Document:
        """Find the one of that name; a generated name may carry a hash."""
        names = {found["metadata"]["name"]: found for found in self.of(kind)}
        hashed = [found for given, found in names.items() if given.rpartition("-")[0] == name]
        return names[name] if name in names else hashed[0]

    @property
    def workloads(self) -> Iterator[Workload]:
        for found in self.of("Deployment", "StatefulSet", "Job", "CronJob"):
            name, spec = found["metadata"]["name"], found["spec"]
            made = spec["jobTemplate"]["spec"] if found["kind"] == "CronJob" else spec
            yield Workload(kind=found["kind"], name=name, spec=made)

    @property
    def ours(self) -> list[Workload]:
        return [workload for workload in self.workloads if workload.is_ours]

    def settings(self, container: Mapping[str, Any], pod_ip: str) -> dict[str, str]:
        """Build the environment of *container* as the kubelet would, at the address *pod_ip*."""
        environment: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            name = source["configMapRef"]["name"]
            (found,) = (d for d in self.of("ConfigMap") if d["metadata"]["name"] == name)
            environment |= found["data"]
        for variable in container.get("env", ()):
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            if field not in (None, "status.podIP"):
                raise NotRendered(f"nobody here knows {field}")
            environment[variable["name"]] = pod_ip if field else variable["value"]
        return environment


@cache
def render(overlay: str) -> Manifests:
    """Render one of ``overlays/``; raise ``NoRenderer`` or ``NotRendered``."""
    program = shutil.which("kubectl")
    if program is None:
        raise NoRenderer("kubectl is not installed")
    done = subprocess.run(
        [program, "kustomize", str(FOLDER / "overlays" / overlay)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NotRendered(done.stderr.strip())
    return Manifests(tuple(found for found in yaml.safe_load_all(done.stdout) if found))
