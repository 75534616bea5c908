"""What a submit with ``job.unique`` is answered."""

from typing import Any

from tests.front.desk import Desk
from tests.front.test_submit import ECHO, post, stored

UNIQUE: dict[str, Any] = {"key": "bill/7"}


async def test_a_second_one_is_answered_with_the_job_that_is_there(desk: Desk) -> None:
    """It learns that it is no new one, and how that one is now."""
    _, first, _ = await post(desk, ECHO, {"job": {"unique": UNIQUE}})

    status, second, headers = await post(desk, ECHO, {"payload": 2, "job": {"unique": UNIQUE}})

    assert status == 202
    assert second["jobId"] == first["jobId"]
    assert second["existing"] is True
    assert "existing" not in first
    assert "Idempotent-Replayed" not in headers


async def test_a_second_one_is_refused_with_the_place_of_the_first(desk: Desk) -> None:
    """409 says which job is in the way."""
    _, first, _ = await post(desk, ECHO, {"job": {"unique": UNIQUE}})

    status, refused, _ = await post(
        desk, ECHO, {"job": {"unique": UNIQUE | {"onConflict": "reject"}}}
    )

    assert (status, refused["code"]) == (409, "not_unique")
    assert refused["jobId"] == first["jobId"]
    assert refused["statusUrl"] == first["statusUrl"]


async def test_the_wish_reaches_the_store(desk: Desk) -> None:
    """Seconds as a duration; the rest as it was said."""
    wish = UNIQUE | {"while": 60, "onConflict": "replace"}
    _, content, _ = await post(desk, ECHO, {"job": {"unique": wish}})

    unique = stored(desk, content).unique
    assert (unique.key, unique.lasts.total_seconds(), unique.on_conflict) == (
        "bill/7",
        60,
        "replace",
    )


async def test_a_wish_that_is_none_is_told_by_pointer(desk: Desk) -> None:
    """Where the mistake is, whatever it is."""
    status, refused, _ = await post(desk, ECHO, {"job": {"unique": {"key": "", "while": "always"}}})

    assert status == 422
    assert {one["pointer"] for one in refused["errors"]} >= {"/job/unique/key"}
