"""Run the back service: ``python -m back_service``."""

import asyncio
import sys

import structlog
import uvloop

from back_service.app import open_back
from shared.runtime.logs import configure
from shared.runtime.serving import serve, spare_the_collector, stop_on_signals
from shared.runtime.settings import BackSettings, BadSettings, read_settings, unknown_names

log = structlog.get_logger()


def main() -> int:
    try:
        settings = read_settings(BackSettings)
        configure(service="back", log_format=settings.log_format, level=settings.log_level)
        for name in unknown_names():
            log.warning("unknown setting", name=name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))
    except (BadSettings, ValueError, ImportError) as error:
        print(error, file=sys.stderr)  # noqa: T201  whoever starts it must see why it does not
        return 2
    return 0


async def _run(settings: BackSettings) -> None:
    stop = stop_on_signals()
    async with open_back(settings, leave=stop.set) as services:
        log.info(
            "started",
            pools=list(settings.pools),
            concurrency=settings.concurrency,
            quarantine=settings.quarantine,
        )
        spare_the_collector()
        await serve(services, stop)
    log.info("stopped")


if __name__ == "__main__":
    sys.exit(main())
