"""The health check of a container."""

import asyncio
import os
import subprocess
import sys

from shared.runtime.healthcheck import is_alive
from shared.runtime.metrics import Metrics
from shared.runtime.probes import Probes
from tests.support.house import free_port
from tests.support.waiting import until


async def _ready() -> bool:
    return True


async def test_a_process_that_answers_its_probe_is_alive() -> None:
    """Whatever else it does: an orchestrator kills what is not."""
    with free_port() as port:
        pass
    probes = Probes(host="::1", port=port, metrics=Metrics(), is_ready=_ready)
    serving = asyncio.create_task(probes.run())
    environment = {"UKETSUKE_PROBE_HOST": "::", "UKETSUKE_PROBE_PORT": str(port)}

    async def answers() -> bool:
        return await asyncio.to_thread(is_alive, environment)

    try:
        await until(answers, within=10, what="the probe answers")
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    assert not await answers()


def test_without_a_port_nothing_is_alive() -> None:
    """A container that cannot be asked is misconfigured, and that must show."""
    asked = subprocess.run(
        [sys.executable, "-m", "shared.runtime.healthcheck"],
        check=False,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("UKETSUKE_")},
    )

    assert (asked.returncode, "UKETSUKE_PROBE_PORT" in asked.stderr) == (1, True)
