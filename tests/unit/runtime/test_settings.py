"""What the environment may tell a process."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from shared.runtime.settings import (
    BackSettings,
    BadSettings,
    FrontSettings,
    read_settings,
    unknown_names,
)

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only what every service needs; a secret in each address."""
    for name in [name for name in os.environ if name.startswith("UKETSUKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UKETSUKE_DATABASE_URL", f"postgresql://u:{CANARY}@127.0.0.1/x")
    monkeypatch.setenv("UKETSUKE_AMQP_URL", f"amqp://u:{CANARY}@127.0.0.1/")
    return monkeypatch


def test_two_addresses_are_enough() -> None:
    """All the rest has a default that fits a first try."""
    front, back = read_settings(FrontSettings), read_settings(BackSettings)

    assert front.host == "127.0.0.1"
    assert back.pools == ("default",)
    assert back.lease == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("name", "value", "attribute", "read"),
    [
        ("CONCURRENCY", "7", "concurrency", 7),
        ("LEASE", "2.5", "lease", timedelta(seconds=2.5)),
        ("DRAIN", "0", "drain", timedelta(0)),
        ("POOLS", "default, video,", "pools", ("default", "video")),
        ("HANDLERS", "a.b,c", "handlers", ("a.b", "c")),
        ("HANDLERS", "", "handlers", ()),
        ("BLOB_DIR", "/srv/blobs", "blob_dir", Path("/srv/blobs")),
        ("LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("LOG_FORMAT", "console", "log_format", "console"),
    ],
)
def test_a_value_is_read_with_its_unit(
    environment: pytest.MonkeyPatch, name: str, value: str, attribute: str, read: object
) -> None:
    """Times are seconds, lists have commas."""
    environment.setenv(f"UKETSUKE_{name}", value)

    assert getattr(read_settings(BackSettings), attribute) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "many"),
        ("PREFETCH", "100000"),
        ("POOL_SIZE", "1"),
        ("EGRESS_PORTS", "443,https"),
        ("EGRESS_PORTS", "0"),
        ("FETCH_ALLOW_CIDRS", "10.0.0.1/8"),
        ("POOLS", ""),
        ("LEASE", "1"),
        ("LEASE", "ten"),
        ("LEASE", "inf"),
        ("LEASE", "nan"),
        ("DRAIN", "-1"),
        ("CONFIRM_WAIT", "-0.1"),
        ("MAX_AGE", "0"),
        ("MAX_AGE", "-5"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("CHILD_NICENESS", "20"),
        ("PROBE_PORT", "70000"),
        ("DATABASE_URL", ""),
        ("AMQP_URL", ""),
    ],
)
def test_a_bad_value_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """It refuses to start; the first job is too late to find out."""
    environment.setenv(f"UKETSUKE_{name}", value)

    with pytest.raises(BadSettings, match=f"^UKETSUKE_{name}: "):
        read_settings(BackSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CONNECTIONS", "0"),
        ("MAX_STREAMS", "-1"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("RATE", "0"),
        ("RATE", "inf"),
        ("BURST", "0"),
    ],
)
def test_a_bad_cap_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A cap that lets nobody in, or everybody, was not meant."""
    environment.setenv(f"UKETSUKE_{name}", value)

    with pytest.raises(BadSettings, match=f"^UKETSUKE_{name}: "):
        read_settings(FrontSettings)


def test_all_mistakes_are_named_at_once(environment: pytest.MonkeyPatch) -> None:
    """Nobody wants to start it ten times to find ten mistakes."""
    environment.delenv("UKETSUKE_AMQP_URL")
    environment.setenv("UKETSUKE_PORT", "0")
    environment.setenv("UKETSUKE_DRAIN", "soon")

    with pytest.raises(BadSettings) as caught:
        read_settings(FrontSettings)

    named = {line.partition(":")[0] for line in str(caught.value).splitlines()}
    assert named == {"UKETSUKE_AMQP_URL", "UKETSUKE_PORT", "UKETSUKE_DRAIN"}


def test_secrets_never_print(environment: pytest.MonkeyPatch) -> None:
    """Neither in what is shown of the settings, nor in a mistake."""
    settings = read_settings(BackSettings)
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()}"

    environment.setenv("UKETSUKE_LEASE", "ten")
    with pytest.raises(BadSettings) as caught:
        read_settings(BackSettings)
    assert CANARY not in str(caught.value)


def test_settings_do_not_change() -> None:
    """What was logged at the start is what holds."""
    settings = read_settings(BackSettings)

    with pytest.raises(ValueError, match="frozen"):
        settings.concurrency = 99  # type: ignore[misc]  # that it is refused is the point


def test_a_slip_of_the_pen_is_noticed() -> None:
    """A setting that nobody reads seems to work, and does nothing."""
    environment = {
        "UKETSUKE_CONCURENCY": "4",
        "UKETSUKE_CONCURRENCY": "4",
        "UKETSUKE_PORT": "80",
        "UKETSUKE_TEST_STACK": "x",
        "UKETSUKE_URL": "x",
        "PATH": "x",
    }

    assert unknown_names(environment) == ["UKETSUKE_CONCURENCY"]


def test_secrets_may_stand_in_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An orchestrator mounts them; in the environment every child and every crash shows them."""
    environment.delenv("UKETSUKE_DATABASE_URL")
    (tmp_path / "uketsuke_database_url").write_text(f"postgresql://{CANARY}/files\n")
    environment.setenv("UKETSUKE_SECRETS_DIR", str(tmp_path))

    settings = read_settings(BackSettings)

    assert settings.database_url.get_secret_value() == f"postgresql://{CANARY}/files"
    assert CANARY not in repr(settings)
    assert unknown_names() == []


def test_a_folder_of_secrets_that_is_not_there_is_a_mistake(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mount that was forgotten must not end in a search for what is in no file."""
    environment.setenv("UKETSUKE_SECRETS_DIR", str(tmp_path / "nowhere"))

    with pytest.raises(BadSettings, match="UKETSUKE_SECRETS_DIR"):
        read_settings(FrontSettings)


@pytest.mark.parametrize(
    ("text", "roles"), [("upkeep", ("upkeep",)), ("work, upkeep", ("work", "upkeep"))]
)
def test_a_back_may_have_one_role(
    environment: pytest.MonkeyPatch, text: str, roles: tuple[str, ...]
) -> None:
    """Pools that scale to nothing need somebody who stays awake."""
    environment.setenv("UKETSUKE_ROLES", text)

    assert read_settings(BackSettings).roles == roles


@pytest.mark.parametrize("text", ["", "notify", "work,sleep"])
def test_a_role_that_nobody_has_is_a_mistake(environment: pytest.MonkeyPatch, text: str) -> None:
    """A process that does nothing would look well for ever."""
    environment.setenv("UKETSUKE_ROLES", text)

    with pytest.raises(BadSettings, match="UKETSUKE_ROLES"):
        read_settings(BackSettings)
