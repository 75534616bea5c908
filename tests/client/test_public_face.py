"""What ``import uketsuke`` promises."""

import subprocess
import sys

import pytest

import uketsuke


def test_the_public_names_are_these() -> None:
    """A name that goes, or comes, is a decision and not an accident."""
    assert uketsuke.__all__ == [
        "AfterFailure",
        "Blob",
        "ChildContext",
        "ChildDied",
        "Client",
        "Context",
        "Entry",
        "Fail",
        "FileReference",
        "Isolation",
        "JobType",
        "Ordering",
        "Priority",
        "Retries",
        "Retry",
        "Snooze",
        "handles",
    ]
    assert all(getattr(uketsuke, name) is not None for name in uketsuke.__all__)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    """The lazy client must not make every misspelling look like a module."""
    with pytest.raises(AttributeError, match="Cleint"):
        _ = uketsuke.Cleint


def test_authoring_does_not_import_the_client() -> None:
    """A handler module loads in every worker: it must not bring an HTTP library along."""
    code = """
import sys, uketsuke
uketsuke.JobType, uketsuke.handles
assert 'aiohttp' not in sys.modules and 'typer' not in sys.modules
uketsuke.Client
assert 'aiohttp' in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_client_and_the_cli_need_the_contract_alone() -> None:
    """If the SDK needed more of ours, the contract would be incomplete."""
    code = """
import sys, uketsuke.client, uketsuke.cli
ours = {name for name in sys.modules if name.partition('.')[0] in
        ('shared', 'front_service', 'back_service')}
strangers = {name for name in ours if name != 'shared' and not name.startswith('shared.contract')}
assert not strangers, strangers
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
