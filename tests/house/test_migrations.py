"""What was released is never edited: a database that ran it would not be what the code needs."""

import hashlib
import re
from pathlib import Path
from typing import Final

from shared.store.migrate import FOLDER, migrations

RECORD: Final = Path(__file__).with_name("migrations.sha256")
"""As ``sha256sum`` writes it. A new file gets a line; a released file keeps the one it has."""


def recorded() -> dict[str, str]:
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_no_migration_is_edited_after_it_was_recorded() -> None:
    """Make a new file with the next number instead."""
    present = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.sql")
    }

    assert present == recorded()


def test_migrations_are_numbered_without_a_gap() -> None:
    """Two branches that both add number 7 must meet here, not in a database."""
    names = [migration.name for migration in migrations()]

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in names)
