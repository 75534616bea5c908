"""The desk, to prove the script before it meets the real services."""

from tests.client.conftest import desk as desk  # noqa: PLC0414  # a fixture, shared by its name
