"""A file as a member of a request: a blob that was uploaded, or an address to fetch it from."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from shared.contract.addresses import read_address
from shared.contract.ids import BlobId, parse_uuid

_PATTERN: Final = "^(blob:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|https?://[^\\s/]+(/\\S*)?)$"
"""For readers of the schema: less exact than ``FileReference.check``, never stricter."""


class FileReference(str):
    """``blob:<id>``, or an ``http(s)`` address that the back service fetches."""

    __slots__ = ()

    @property
    def blob_id(self) -> BlobId | None:
        found = parse_uuid(self[5:]) if self.startswith("blob:") else None
        return None if found is None else BlobId(found)

    @classmethod
    def to_blob(cls, blob_id: BlobId) -> "FileReference":
        return cls(f"blob:{blob_id}")

    @classmethod
    def check(cls, text: str) -> "FileReference":
        reference = cls(text)
        if reference.blob_id is not None:
            return reference
        is_address = text.startswith(("https://", "http://")) and text.isprintable()
        if " " in text or not is_address:
            raise ValueError("must be blob:<id> or an http(s) address")
        read_address(text)
        return reference

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls.check, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core_schema.str_schema()) | {
            "format": "file-reference",
            "pattern": _PATTERN,
        }


def file_references(request: BaseModel) -> Iterator[FileReference]:
    """List the files that *request* names, at any depth of models, lists and mappings."""
    waiting: list[object] = [request]
    while waiting:
        match waiting.pop():
            case FileReference() as found:
                yield found
            case BaseModel() as model:
                waiting.extend(value for _, value in model)
            case dict() as mapping:
                waiting.extend(mapping.values())
            case list() | tuple() | set() | frozenset() as several:
                waiting.extend(several)
            case _:
                pass
