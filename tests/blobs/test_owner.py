"""The mark in a folder of blobs: whose files they are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from shared.blobs.folder import open_folder
from shared.blobs.owner import MARK, owner_of
from shared.blobs.walk import START


def test_the_first_who_asks_becomes_the_owner(tmp_path: Path) -> None:
    """A folder from before the mark, or a new one, belongs to whoever works with it."""
    assert owner_of(tmp_path, "7/5") == "7/5"
    assert owner_of(tmp_path, "7/6") == "7/5"
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_of_many_who_ask_at_once_one_becomes_the_owner(tmp_path: Path) -> None:
    """All of them are told the same, whoever it is."""
    with ThreadPoolExecutor(16) as threads:
        told = set(threads.map(lambda n: owner_of(tmp_path, f"7/{n}"), range(64)))

    assert len(told) == 1
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_what_somebody_wrote_there_owns_the_folder(tmp_path: Path) -> None:
    """Whatever it is, it is not us; and it is not read without end."""
    (tmp_path / MARK).write_bytes(b"\xff hands off \n" + bytes(10_000))

    assert owner_of(tmp_path, "7/5").startswith("\ufffd hands off")
    assert len(owner_of(tmp_path, "7/5")) <= 200


async def test_the_mark_is_no_blob(tmp_path: Path) -> None:
    """Nothing that goes through the files takes it for one of them."""
    async with open_folder(tmp_path / "blobs") as blobs:
        assert await blobs.owner("7/5") == "7/5"

        assert await blobs.aged(START, older=timedelta(0)) == ([], START)
