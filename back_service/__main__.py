"""Run the back service: ``python -m back_service``."""

import asyncio
import sys

import structlog
import uvloop

from back_service.app import open_back
from shared.runtime.logs import configure
from shared.runtime.serving import CANNOT_START, keep_house
from shared.runtime.settings import BackSettings, BadSettings, read_settings, unknown_names

log = structlog.get_logger()


def main() -> int:
    try:
        settings = read_settings(BackSettings)
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201  whoever starts it must see why it does not
        return CANNOT_START
    configure(service="back", log_format=settings.log_format, level=settings.log_level)
    for name in unknown_names():
        log.warning("unknown setting", name=name)
    log.info(
        "starting",
        roles=list(settings.roles),
        pools=list(settings.pools),
        concurrency=settings.concurrency,
        quarantine=settings.quarantine,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(keep_house(lambda leave: open_back(settings, leave=leave)))


if __name__ == "__main__":
    sys.exit(main())
