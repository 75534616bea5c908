"""The words in which a route is described. Pure: ``openapi`` and ``asyncapi`` write them down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from shared.contract.access import Scope
from shared.contract.errors import UketsukeError

Schema = Mapping[str, Any]
Content = Mapping[str, Schema | type[BaseModel]]
"""By media type: a JSON Schema, or the model that has one; an empty one: these are just bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something beside the body; *name* is as it stands on the wire."""

    name: str
    place: Literal["path", "query", "header"]
    schema: Schema
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header of an answer; *always*: no answer of that kind lacks it."""

    name: str
    schema: Schema
    text: str
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer that is no problem document; *links* are OpenAPI's, by name."""

    status: int
    text: str
    content: Content = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    links: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent along."""

    text: str
    content: Content
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One kind of message of a channel."""

    name: str
    text: str
    payload: Schema | type[BaseModel]
    example: Schema | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What flows once the stream is open: *told* by us, *heard* by us."""

    name: str
    carrier: Literal["ws", "http"]  # http: server-sent events
    title: str
    text: str
    told: tuple[Message, ...]
    heard: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route. What any route may answer (see ``openapi``) need not be said again.

    *refusals* are the errors that its handler raises. With *for_each_job_type* the path is
    written out for each of them, with its request model as the body.
    """

    name: str
    summary: str
    text: str
    tag: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    refusals: tuple[type[UketsukeError], ...] = ()
    for_each_job_type: bool = False
    channel: Channel | None = None


class Described(Protocol):
    """A row of the route table, as far as its description is concerned."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def needs(self) -> Scope | None:
        """The scope of its callers; ``None``: anybody may call it."""

    @property
    def operation(self) -> Operation: ...
