"""Check everything in ``deploy/`` and say what could not be checked: ``make deploy-check``.

``python -m deploy.check [PART …]`` checks the parts that are named, else all. Exits 1 if
something is wrong; what could not be verified is no failure, and is said with its reason.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from deploy.check.images import check_images
from deploy.check.manifests import check_manifests
from deploy.check.observability import check_observability
from deploy.check.verdict import Verdict

PARTS: Final[Mapping[str, Callable[[], Iterable[Verdict]]]] = {
    "images": check_images,
    "manifests": check_manifests,
    "observability": check_observability,
}


def main(words: Sequence[str]) -> int:
    if unknown := set(words) - set(PARTS):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    seen: list[Verdict] = []
    for name in words or PARTS:
        print(f"{name}:", flush=True)
        for verdict in PARTS[name]():
            print(f"  {verdict}", flush=True)
            seen.append(verdict)
    return _sum_up(seen)


def _sum_up(seen: Sequence[Verdict]) -> int:
    wrong = [verdict for verdict in seen if verdict.is_wrong]
    unknown = [verdict for verdict in seen if verdict.is_unknown]
    sound = len(seen) - len(wrong) - len(unknown)
    print(f"\n{sound} sound, {len(wrong)} wrong, {len(unknown)} not verified")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
