"""JSON Schemas of models, as components of one document."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic.json_schema import models_json_schema as generate
from pydantic_core import core_schema

from front_service.described.operation import Content, Schema
from shared.contract.job_types import JobType
from shared.contract.options import JobOptions

_Wanted = tuple[type[BaseModel], JsonSchemaMode]

_PLACE: Final = "#/components/schemas/"


class _Plain(GenerateJsonSchema):
    """Without the titles that only repeat the names."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False


class _LeftOut(_Plain):
    """Of answers: a member that may be ``None`` is left out instead."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class Schemas:
    """Collects the schemas of models and says how each is referred to."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self._known: dict[_Wanted, Schema] = {}

    def answered(self, content: Content) -> dict[str, Any]:
        return self._content(content, "serialization", _LeftOut)

    def taken(self, content: Content) -> dict[str, Any]:
        return self._content(content, "validation", _Plain)

    def of(self, model: Schema | type[BaseModel]) -> Schema:
        """Refer to what is answered."""
        return self._schema(model, "serialization", _LeftOut)

    def of_job_type(self, job_type: JobType) -> tuple[Schema, Schema | None]:
        """Refer to the whole body of a submit, and to the result if its type states one.

        Names of different authors may be the same: each type's components begin with its name.
        """
        models: list[_Wanted] = [(job_type.request, "validation")]
        if job_type.result is not None:
            models.append((job_type.result, "serialization"))
        references = self._add(models, _Plain, prefix=f"{job_type.name}.")
        self._schema(JobOptions, "validation", _Plain)
        request = references[job_type.request, "validation"]
        name = f"{job_type.name}.submit"
        self.components[name] = self._with_ours(request) | {"title": name}
        result = None if job_type.result is None else references[job_type.result, "serialization"]
        return {"$ref": _PLACE + name}, result

    def _with_ours(self, schema: Schema) -> dict[str, Any]:
        """Widen a schema by the members that any submit may have.

        It is rewritten, not joined by ``allOf``: one that is closed would refuse them.
        """
        reference = schema.get("$ref")
        whole = dict(schema if reference is None else self.components[reference[len(_PLACE) :]])
        for choice in ("oneOf", "anyOf"):
            if choice in whole:
                whole.pop("discriminator", None)
                return whole | {choice: [self._with_ours(one) for one in whole[choice]]}
        return whole | {"properties": whole.get("properties", {}) | _OURS}

    def _content(
        self, content: Content, mode: JsonSchemaMode, how: type[GenerateJsonSchema]
    ) -> dict[str, Any]:
        return {
            media: {"schema": self._schema(model, mode, how)} if model else {}
            for media, model in content.items()
        }

    def _schema(
        self, model: Schema | type[BaseModel], mode: JsonSchemaMode, how: type[GenerateJsonSchema]
    ) -> Schema:
        if isinstance(model, Mapping):
            return model
        if (model, mode) not in self._known:
            self._known |= self._add([(model, mode)], how)
        return self._known[model, mode]

    def _add(
        self,
        models: Iterable[_Wanted],
        how: type[GenerateJsonSchema],
        *,
        prefix: str = "",
    ) -> dict[_Wanted, Schema]:
        template = f"{_PLACE}{prefix}{{model}}"
        listed = list(models)
        references, found = generate(listed, ref_template=template, schema_generator=how)
        for name, schema in found.get("$defs", {}).items():
            if self.components.setdefault(prefix + name, schema) != schema:
                raise ValueError(f"two schemas are named {prefix + name!r}")
        return {(model, mode): references[model, mode] for model, mode in listed}


_OURS: Final[Mapping[str, Any]] = {
    "callbackUrl": {
        "anyOf": [{"type": "string", "format": "uri", "maxLength": 2_048}, {"type": "null"}],
        "default": None,
        "description": "an http(s) address that is told of the job's ending",
    },
    "job": {
        "anyOf": [{"$ref": f"{_PLACE}JobOptions"}, {"type": "null"}],
        "default": None,
        "description": "when, in which order and how often the job runs",
    },
}
