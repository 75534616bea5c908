"""The manifests: rendered, held against the schemas strictly, and against the hardening rules."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

from deploy.check.hardening import rules_for
from deploy.check.rendered import OVERLAYS, Manifests, NoRenderer, NotRendered, render
from deploy.check.verdict import Verdict, judged, not_verified, sound, wrong

VERSIONS: Final = ("1.30", "1.37")
"""The oldest Kubernetes that the manifests are for, and the newest whose schemas are here."""

_SCHEMAS: Final = Path(__file__).with_name("schemas.yaml")
_OUT_OF_REACH: Final = (
    ("an API server", "none is here: what admission, quotas and defaults do was not seen"),
    (
        "KEDA, CloudNativePG, the operators of RabbitMQ",
        "none runs here; their resources fit small schemas of ours, written from their documents",
    ),
    ("network policies", "their text is checked; no network that enforces them is here"),
    ("ingress-nginx", "its annotations are checked as text"),
    ("TLS to the stores", "the servers of the tests have none"),
)


def check_manifests() -> Iterator[Verdict]:
    for overlay in OVERLAYS:
        try:
            manifests = render(overlay)
        except NoRenderer as error:
            yield not_verified("all manifests", str(error))
            return
        except NotRendered as error:
            yield wrong(f"{overlay}: kustomize", str(error))
            continue
        yield sound(f"{overlay}: kustomize renders {len(manifests.documents)} resources")
        yield from _check(overlay, manifests)
    for what, why in _OUT_OF_REACH:
        yield not_verified(what, why)


def _check(overlay: str, manifests: Manifests) -> Iterator[Verdict]:
    for version in VERSIONS:
        yield judged(
            f"{overlay}: schemas of {version}, strictly", of_kubernetes(manifests, version)
        )
    yield judged(f"{overlay}: custom resources", "\n".join(of_ours(manifests)))
    for promise, rule in rules_for(overlay).items():
        yield judged(f"{overlay}: {promise}", "\n".join(rule(manifests)))


def of_kubernetes(manifests: Manifests, version: str) -> str:
    """Ask kubernetes-validate about all that is Kubernetes' own; answer its complaints."""
    own = [d for d in manifests.documents if _name(d) not in schemas()]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump_all(own, file)
        file.flush()
        program = Path(sys.executable).with_name("kubernetes-validate")
        asked = subprocess.run(
            [str(program), "--strict", "-k", version, file.name],
            check=False,
            capture_output=True,
            text=True,
        )
    lines = (asked.stdout + asked.stderr).splitlines()
    told = [line.replace(file.name, "") for line in lines if not line.startswith("INFO")]
    if asked.returncode and not told:
        told = [f"it ended with {asked.returncode}"]
    return "\n".join(told)


def of_ours(manifests: Manifests) -> Iterable[str]:
    """Hold custom resources against our own schemas, which know only what we use."""
    for document in manifests.documents:
        schema = schemas().get(_name(document))
        if schema is None:
            continue
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            place = "/".join(map(str, error.absolute_path))
            yield f"{document['kind']} {document['metadata']['name']}: {place}: {error.message}"


@cache
def schemas() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(_SCHEMAS.read_text(encoding="utf-8"))
    return {name: schema for name, schema in read.items() if not name.startswith("x-")}


def _name(document: Any) -> str:
    return f"{document['apiVersion']}/{document['kind']}"
