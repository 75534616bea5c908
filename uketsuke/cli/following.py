"""Follow several jobs at once until each has ended."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta

from shared.contract.errors import UketsukeError
from uketsuke.cli.show import Bars
from uketsuke.cli.visit import PATIENT, ExitCode, Visit, code_of
from uketsuke.client import Client, Status
from uketsuke.together import Together


class Following:
    """One command's watch over *job_ids*; trouble with one job does not end the others'."""

    def __init__(
        self,
        visit: Visit,
        job_ids: Sequence[str],
        *,
        after: int | None = None,
        timeout: timedelta | None = None,
        quietly: bool = False,
    ) -> None:
        self._visit, self._job_ids = visit, list(dict.fromkeys(job_ids))
        self._after, self._timeout, self._quietly = after, timeout, quietly
        self._seen: dict[str, int] = {}

    async def to_the_end(self) -> ExitCode:
        """Watch, then tell every ending; answer the worst of them."""
        async with self._visit.client(PATIENT) as client:
            try:
                with self._visit.screen.bars() as bars:
                    found = await self._all(client, bars)
            except asyncio.CancelledError:
                self._visit.farewells += self._farewells()
                raise
            return max([self._tell(client, one) for one in found], default=ExitCode.DONE)

    async def _all(self, client: Client, bars: Bars) -> list[Status | UketsukeError]:
        """Follow all at the same time: one on a socket of its own, several on a common one."""
        if len(self._job_ids) == 1:
            return [await self._follow(client, self._job_ids[0], bars)]
        async with client.together() as together:
            return await asyncio.gather(
                *(self._follow(together, job_id, bars) for job_id in self._job_ids)
            )

    async def _follow(
        self, source: Client | Together, job_id: str, bars: Bars
    ) -> Status | UketsukeError:
        last: Status | None = None
        statuses = source.watch(job_id, after=self._after, deadline=self._timeout)
        try:
            async with aclosing(statuses):
                async for last in statuses:
                    self._seen[job_id] = last.sequence
                    if last.has_ended or not self._quietly:
                        bars.show(last)
        except UketsukeError as error:
            error.add_note(f"job {job_id}")
            return error
        if last is None:
            raise AssertionError("a watch ends with the ending")
        return last

    def _tell(self, client: Client, found: Status | UketsukeError) -> ExitCode:
        if isinstance(found, UketsukeError):
            self._visit.screen.trouble(found)
            return code_of(found)
        self._visit.screen.ending(found, client)
        return ExitCode.DONE if found.succeeded else ExitCode.ENDED_OTHERWISE

    def _farewells(self) -> list[str]:
        several = len(self._job_ids) > 1
        seen = None if several else self._seen.get(self._job_ids[0])
        after = () if seen is None else ("--after", str(seen))
        again = self._visit.command("watch", *self._job_ids, *after)
        subject = "the jobs go on" if several else "the job goes on"
        return [f"Stopped watching; {subject}. To resume:", f"  {again}"]
