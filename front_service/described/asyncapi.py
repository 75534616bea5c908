"""Write the AsyncAPI 3.0 document of the streams among the routes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from front_service.described import common
from front_service.described.operation import Channel, Described, Message, Operation
from front_service.described.schemas import Schemas

_SERVERS: Final[Mapping[str, Any]] = {
    "ws": {
        "host": "{host}",
        "protocol": "ws",
        "description": "wss where the service is behind TLS",
        "variables": {"host": {"default": "127.0.0.1:8080"}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    },
    "http": {
        "host": "{host}",
        "protocol": "http",
        "description": "server-sent events; https where the service is behind TLS",
        "variables": {"host": {"default": "127.0.0.1:8080"}},
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    },
}


class AsyncApi:
    """Makes one document; used once."""

    def __init__(self, table: Iterable[Described]) -> None:
        self._table = table
        self._schemas = Schemas()
        self._messages: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        channels: dict[str, Any] = {}
        operations: dict[str, Any] = {}
        for route in self._table:
            channel = route.operation.channel
            if channel is not None:
                channels[channel.name] = self._channel(channel, route.operation, route.path)
                operations |= _operations(channel)
        return {
            "asyncapi": "3.0.0",
            "info": {
                "title": "Uketsuke",
                "version": common.VERSION,
                "description": "What flows over the streams; how they are opened, and what is "
                "refused then, is described in /openapi.json.",
                "license": {"name": "Apache-2.0"},
            },
            "defaultContentType": "application/json",
            "servers": dict(_SERVERS),
            "channels": channels,
            "operations": operations,
            "components": {
                "messages": self._messages,
                "schemas": dict(sorted(self._schemas.components.items())),
                "securitySchemes": {"bearer": dict(common.BEARER)},
            },
        }

    def _channel(self, channel: Channel, operation: Operation, path: str) -> dict[str, Any]:
        written: dict[str, Any] = {
            "address": path,
            "title": channel.title,
            "summary": operation.summary,
            "description": f"{operation.text} {channel.text}",
            "servers": [{"$ref": f"#/servers/{channel.carrier}"}],
            "messages": {
                message.name: {"$ref": self._message(message)}
                for message in (*channel.told, *channel.heard)
            },
            "parameters": {
                one.name: {"description": one.text}
                for one in operation.parameters
                if one.place == "path"
            },
        }
        if channel.carrier == "ws":
            written["bindings"] = {"ws": _handshake(operation)}
        return written

    def _message(self, message: Message) -> str:
        written: dict[str, Any] = {
            "name": message.name,
            "summary": message.text,
            "contentType": "application/json",
            "payload": self._schemas.of(message.payload),
        }
        if message.example is not None:
            written["examples"] = [{"payload": dict(message.example)}]
        if self._messages.setdefault(message.name, written) != written:
            raise ValueError(f"two messages are named {message.name!r}")
        return f"#/components/messages/{message.name}"


def _operations(channel: Channel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Say who sends what; the words are those of this service: it sends what clients are told."""
    place = f"#/channels/{channel.name}"
    for action, messages in (("send", channel.told), ("receive", channel.heard)):
        if messages:
            yield (
                f"{action}{channel.name[0].upper()}{channel.name[1:]}",
                {
                    "action": action,
                    "channel": {"$ref": place},
                    "messages": [{"$ref": f"{place}/messages/{one.name}"} for one in messages],
                },
            )


def _handshake(operation: Operation) -> dict[str, Any]:
    query = {
        one.name: {**one.schema, "description": one.text}
        for one in operation.parameters
        if one.place == "query"
    }
    return {
        "method": "GET",
        "query": {"type": "object", "properties": query},
        "bindingVersion": "0.1.0",
    }
