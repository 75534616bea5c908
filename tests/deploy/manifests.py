"""Rendered manifests for tests, and spoiled ones: what is changed by hand is noticed, or not."""

import copy
from collections.abc import Callable
from typing import Any

from deploy.check.rendered import Manifests, NoRenderer, render
from tests.support.needs import missing


def rendered(overlay: str) -> Manifests:
    """Render *overlay*, or skip where there is nothing to render with; CI fails instead."""
    try:
        return render(overlay)
    except NoRenderer as error:
        missing(str(error))


def spoiled(manifests: Manifests, kind: str, name: str, spoil: Callable[[Any], None]) -> Manifests:
    """Answer a copy in which *spoil* was done to one document."""
    documents = copy.deepcopy(manifests.documents)
    found = Manifests(documents).named(kind, name)
    spoil(found)
    return Manifests(documents)
