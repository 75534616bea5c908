"""The ports of a private RabbitMQ node: chosen once, kept as long as nobody else takes them."""

import contextlib
import json
from dataclasses import astuple, dataclass
from pathlib import Path

from deploy.local import processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The three ports of a node, all on 127.0.0.1."""

    amqp: int
    distribution: int
    epmd: int

    @classmethod
    def choose(cls) -> "Ports":
        """Choose three that are free now."""
        amqp, distribution, epmd = processes.free_ports(3)
        return cls(amqp=amqp, distribution=distribution, epmd=epmd)

    @classmethod
    def read(cls, file: Path) -> "Ports":
        """Read those of the last time; choose where there are none."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(file.read_text()))
        return cls.choose()

    def are_free(self) -> bool:
        """Tell whether the node could have them now."""
        return all(processes.is_free(port) for port in astuple(self))
