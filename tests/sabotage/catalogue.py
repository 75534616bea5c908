"""All defects: those of the list in the design, then those named after an invariant."""

import re
from typing import Final

from tests.sabotage.access import ACCESS
from tests.sabotage.defect import Defect
from tests.sabotage.edges import EDGES
from tests.sabotage.invariants import INVARIANTS
from tests.sabotage.services import SERVICES
from tests.sabotage.statements import STATEMENTS

_NAME = re.compile(r"([SI])(\d+)([a-z]?)")


def _place(defect: Defect) -> tuple[bool, int, str]:
    found = _NAME.fullmatch(defect.id)
    if found is None:
        raise ValueError(defect.id)
    return found[1] != "S", int(found[2]), found[3]


DEFECTS: Final = tuple(sorted((*STATEMENTS, *SERVICES, *EDGES, *ACCESS, *INVARIANTS), key=_place))
