"""Run the front service: ``python -m front_service``."""

import asyncio
import sys

import structlog
import uvloop

from front_service.app import open_front
from shared.runtime.logs import configure
from shared.runtime.serving import serve, spare_the_collector, stop_on_signals
from shared.runtime.settings import BadSettings, FrontSettings, read_settings, unknown_names

log = structlog.get_logger()


def main() -> int:
    try:
        settings = read_settings(FrontSettings)
        configure(service="front", log_format=settings.log_format, level=settings.log_level)
        for name in unknown_names():
            log.warning("unknown setting", name=name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201  whoever starts it must see why it does not
        return 2
    return 0


async def _run(settings: FrontSettings) -> None:
    stop = stop_on_signals()
    async with open_front(settings) as services:
        spare_the_collector()
        await serve(services, stop)
    log.info("stopped")


if __name__ == "__main__":
    sys.exit(main())
