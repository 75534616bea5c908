"""All defects: those of the list in the design, those named after an invariant, and the others."""

import re
from typing import Final

from tests.sabotage.access import ACCESS
from tests.sabotage.defect import Defect
from tests.sabotage.edges import EDGES
from tests.sabotage.invariants import INVARIANTS
from tests.sabotage.many import MANY
from tests.sabotage.order import ORDER
from tests.sabotage.reference import REFERENCE
from tests.sabotage.services import SERVICES
from tests.sabotage.statements import STATEMENTS
from tests.sabotage.strangers import STRANGERS

_KINDS: Final = "SIUB"  # the design's, invariants, unique keys, batches and bulk
_NAME = re.compile(rf"([{_KINDS}])(\d+)([a-z]?)")


def _place(defect: Defect) -> tuple[int, int, str]:
    found = _NAME.fullmatch(defect.id)
    if found is None:
        raise ValueError(defect.id)
    return _KINDS.index(found[1]), int(found[2]), found[3]


DEFECTS: Final = tuple(
    sorted(
        (
            *(*STATEMENTS, *SERVICES, *EDGES, *STRANGERS, *ACCESS),
            *(*INVARIANTS, *MANY, *ORDER, *REFERENCE),
        ),
        key=_place,
    )
)
