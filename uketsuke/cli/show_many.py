"""How what is about many jobs at once is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from shared.contract.errors import UketsukeError
from shared.contract.operating import BulkAnswer
from uketsuke.errors import clean
from uketsuke.many import BatchStatus, BatchTicket


class ManyShown:
    """The part of ``Screen`` that is about many jobs at once."""

    as_json: bool

    def document(self, document: Any) -> None:
        raise NotImplementedError

    def note(self, text: str) -> None:
        raise NotImplementedError

    def _rows(self, rows: dict[str, Any], status: str = "") -> None:
        raise NotImplementedError

    def batch_ticket(self, ticket: BatchTicket) -> None:
        if self.as_json:
            self.document(ticket.document)
            return
        rows = {"batch": str(ticket.batch_id), "accepted": str(len(ticket.accepted))}
        if ticket.replayed:
            rows["note"] = "this key was used before: this is the batch of then"
        self._rows(rows)
        for place, one in enumerate(ticket.jobs, 1):
            if isinstance(one, UketsukeError):
                self.note(f"{place}: refused: {clean(one)}")

    def batch_status(self, status: BatchStatus) -> None:
        if self.as_json:
            self.document(status.document)
            return
        counts = (f"{count} {name}" for name, count in status.counts.items() if count)
        self._rows(
            {"batch": str(status.batch_id), "status": status.status, "jobs": ", ".join(counts)},
            status.status,
        )

    def bulk(self, answer: BulkAnswer) -> None:
        if self.as_json:
            self.document(answer.model_dump(mode="json", by_alias=True, exclude_none=True))
            return
        rows = {"matched": answer.matched, "changed": answer.changed, "skipped": answer.skipped}
        self._rows({**rows, **({"unknown": answer.unknown} if answer.unknown else {})})
        for job in answer.sample:
            self.note(f"{job.job_id}  {clean(job.type, 130)}")
        if answer.matched > len(answer.sample):
            self.note(f"and {answer.matched - len(answer.sample)} more")

    def stats(self, document: Mapping[str, Any]) -> None:
        """Write what waits and runs: in all, then by type, pool and key."""
        if self.as_json:
            self.document(document)
            return
        self._lines("all", [{"all": "", **document}])
        for group, member in (("types", "type"), ("pools", "pool"), ("keys", "orderingKey")):
            found = document.get(group)
            self._lines(member, found if isinstance(found, list) else [])

    def types(self, documents: Sequence[Mapping[str, Any]]) -> None:
        if self.as_json:
            for document in documents:
                self.document(document)
            return
        for one in documents:
            state = "available" if one.get("available") else clean(one.get("reason", "?"), 60)
            words = (one.get("type", "?"), state, one.get("description", ""))
            typer.echo("\t".join(clean(word) for word in words))

    def _lines(self, member: str, found: Sequence[Any]) -> None:
        for one in found:
            if isinstance(one, Mapping):
                waits = one.get("queued", one.get("waiting", 0))
                words = (
                    member,
                    one.get(member, ""),
                    f"{waits} queued",
                    f"{one.get('running', 0)} running",
                )
                oldest = one.get("oldestQueued", one.get("oldest"))
                typer.echo(
                    "\t".join(clean(w) for w in (*words, f"since {oldest}" if oldest else ""))
                )
