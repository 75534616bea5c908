"""Alert rules and the dashboard: they parse, ring as tested, and speak of what is counted."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.check.verdict import Verdict, judged, not_verified
from deploy.local import terminal
from deploy.local.promtool import HOW, fetch_promtool
from docs.measured import ROOT, measures

FOLDER: Final = ROOT / "deploy" / "observability"
RULES: Final = FOLDER / "rules.yaml"
RULES_TEST: Final = FOLDER / "rules_test.yaml"
DASHBOARD: Final = FOLDER / "dashboard.json"

_RANGE: Final = re.compile(r"\$__rate_interval|\$__interval|\$__range")
_NAME: Final = re.compile(r"\b(?:uketsuke|process|python)[a-z0-9_:]*[a-z0-9]\b(?!\s*=)")
_SELECTED: Final = re.compile(r"([a-z_:][a-z0-9_:]*)\{([^}]*)\}")
_MATCHER: Final = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED: Final = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_LEGEND: Final = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_TARGET: Final = frozenset({"instance", "job", "le"})
"""Labels that a scrape adds, or a histogram has."""

_OF_PROCESSES: Final[Mapping[str, frozenset[str]]] = {
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
}


def check_observability() -> Iterator[Verdict]:
    yield judged("rules: every runbook is there", "\n".join(lost_runbooks(alerts())))
    yield judged(
        "rules: of metrics and labels that are counted", "\n".join(strange(rule_queries()))
    )
    yield judged(
        "dashboard: of metrics and labels that are counted",
        "\n".join(strange(dashboard_queries())),
    )
    if (promtool := fetch_promtool(terminal.say)) is None:
        yield not_verified("rules and queries: syntax, and when they ring", HOW)
        return
    yield judged("rules: promtool check", asked(promtool, "check", "rules", str(RULES)))
    yield judged("rules: they ring as tested", asked(promtool, "test", "rules", str(RULES_TEST)))
    yield judged("dashboard: every query parses", unparsed(promtool, dashboard_queries()))
    yield not_verified("Grafana", "none is here: the dashboard was not looked at, only its queries")


def asked(promtool: str, *words: str) -> str:
    """Answer promtool's complaints; nothing if it has none."""
    done = subprocess.run([promtool, *words], check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def unparsed(promtool: str, queries: Iterable[str]) -> str:
    """Answer what promtool says against *queries*, which it can parse as rules."""
    rules = [
        {"record": f"query:{place}", "expr": _RANGE.sub("5m", query)}
        for place, query in enumerate(queries)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}), "utf-8")
        return asked(promtool, "check", "rules", str(file))


@cache
def rules() -> list[dict[str, Any]]:
    read = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def rule_queries() -> list[str]:
    return [rule["expr"] for rule in rules()]


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def dashboard_legends() -> list[tuple[str, set[str]]]:
    """List each query with the labels that its legend names."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        (target["expr"], set(_LEGEND.findall(target["legendFormat"])))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def lost_runbooks(of: Iterable[Mapping[str, Any]]) -> list[str]:
    """List the alerts whose runbook is no chapter of a page of ours."""
    return [
        f"{alert['alert']}: {link or 'no runbook_url'}"
        for alert in of
        if not _is_chapter(link := alert.get("annotations", {}).get("runbook_url", ""))
    ]


def _is_chapter(link: str) -> bool:
    page, _, anchor = link.partition("#")
    path = ROOT / page
    return path.is_file() and anchor in {_anchor(line) for line in _heads(path)}


def _heads(path: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)


def _anchor(head: str) -> str:
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")


def strange(queries: Iterable[str]) -> list[str]:
    """List what *queries* name that nobody counts: series, and labels of a series."""
    return [f"{what}: {query}" for query in queries for what in sorted(_strange(query))]


def _strange(query: str) -> Iterator[str]:
    known = counted()
    plain = _GROUPED.sub("", re.sub(r'"[^"]*"', '""', query))
    names = set(_NAME.findall(re.sub(r"\{[^}]*\}", "", plain)))
    yield from names - set(known)
    has: set[str] = set().union(*(known.get(name, ()) for name in names))
    for labels in _GROUPED.findall(query):
        asked_for = {label.strip() for label in labels.split(",") if label.strip()}
        yield from (f"label {label}" for label in asked_for - has - _TARGET)
    for name, matchers in _SELECTED.findall(query):
        named = set(_MATCHER.findall(re.sub(r'"[^"]*"', "", matchers)))
        yield from (f"label {one} of {name}" for one in named - set(known.get(name, ())) - _TARGET)


@cache
def counted() -> Mapping[str, frozenset[str]]:
    """Give the labels of each series that there is: of the services, and of recording rules."""
    found = {name: frozenset(m.labels) for m in measures() for name in m.series}
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    by = {name: ",".join(_GROUPED.findall(expr)) for name, expr in recorded.items()}
    of_rules = {name: frozenset(filter(None, by[name].replace(" ", "").split(","))) for name in by}
    return {**_OF_PROCESSES, **found, **of_rules}
