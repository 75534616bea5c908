"""Run the front service: ``python -m front_service``."""

import asyncio
import sys

import structlog
import uvloop

from front_service.app import open_front
from shared.runtime.descriptors import raise_descriptor_limit
from shared.runtime.logs import configure
from shared.runtime.serving import CANNOT_START, keep_house
from shared.runtime.settings import BadSettings, FrontSettings, read_settings, unknown_names

log = structlog.get_logger()


def main() -> int:
    try:
        settings = read_settings(FrontSettings)
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201  whoever starts it must see why it does not
        return CANNOT_START
    configure(service="front", log_format=settings.log_format, level=settings.log_level)
    for name in unknown_names():
        log.warning("unknown setting", name=name)
    raise_descriptor_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(keep_house(lambda _: open_front(settings)))


if __name__ == "__main__":
    sys.exit(main())
