"""The member ``job`` of a submit: what it may say, and how a mistake is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contract.jobs import OnConflict, Priority
from shared.contract.options import JobOptions

A_DAY = "2030-01-31T12:00:00Z"


def mistakes(**members: Any) -> list[tuple[Any, ...]]:
    """Name the places of all mistakes in *members*."""
    try:
        JobOptions.model_validate(members)
    except ValidationError as error:
        return [found["loc"] for found in error.errors()]
    return []


def test_everything_may_be_left_out() -> None:
    """What the type says holds then."""
    options = JobOptions.model_validate({})

    assert options.priority is None
    assert options.tags == ()


def test_members_are_named_as_on_the_wire() -> None:
    """In camelCase outside, in snake_case inside."""
    options = JobOptions.model_validate(
        {"orderingKey": "acme/7", "priority": "high", "maxAttempts": 3, "tags": ["a", "b"]}
    )

    assert options.ordering_key == "acme/7"
    assert options.priority is Priority.HIGH
    assert options.max_attempts == 3
    assert options.tags == ("a", "b")


@pytest.mark.parametrize(
    "members",
    [
        {"delaySeconds": 0},
        {"delaySeconds": 366 * 86_400},
        {"runAt": A_DAY},
        {"runAt": "2030-01-31T12:00:00+05:30"},
        {"runAt": A_DAY, "deadline": A_DAY},
        {"delaySeconds": 5, "startDeadline": A_DAY},
        {"orderingKey": "A-Z_a.z:0/9@x"},
        {"maxAttempts": 1},
        {"maxAttempts": 100},
        {"resultTtlSeconds": 1},
        {"tags": []},
        {"callbackEvents": []},
        {"callbackEvents": ["started", "progress", "completed", "failed", "cancelled", "expired"]},
    ],
)
def test_what_makes_sense_is_taken(members: dict[str, Any]) -> None:
    """The bounds themselves belong to what is allowed."""
    assert mistakes(**members) == []


@pytest.mark.parametrize(
    "members",
    [
        {"delaySeconds": -1},
        {"delaySeconds": 366 * 86_400 + 1},
        {"delaySeconds": float("nan")},
        {"delaySeconds": float("inf")},
        {"delaySeconds": "soon"},
        {"runAt": "2030-01-31T12:00:00"},
        {"runAt": "1969-12-31T23:59:59Z"},
        {"runAt": "9999-12-31T23:59:59-14:00"},
        {"runAt": 1e300},
        {"runAt": "tomorrow"},
        {"startDeadline": "2030-01-31"},
        {"deadline": "10000-01-01T00:00:00Z"},
        {"orderingKey": ""},
        {"orderingKey": "a b"},
        {"orderingKey": "ä"},
        {"orderingKey": "x" * 201},
        {"orderingKey": "a\n"},
        {"orderingKey": 7},
        {"priority": "urgent"},
        {"maxAttempts": 0},
        {"maxAttempts": 101},
        {"maxAttempts": 1.5},
        {"resultTtlSeconds": 0},
        {"resultTtlSeconds": 91 * 86_400},
        {"tags": ["a,b"]},
        {"tags": ["x" * 101]},
        {"tags": ["a"] * 21},
        {"callbackEvents": ["queued"]},
        {"callbackEvents": ["failed"] * 7},
        {"callbackEvents": "failed"},
        {"nonsense": 1},
        {"ordering_Key": "a"},
    ],
)
def test_a_mistake_is_told_with_its_place(members: dict[str, Any]) -> None:
    """Nothing is bent until it fits: a caller must know what it asked for."""
    [name] = members

    assert {place[0] for place in mistakes(**members)} == {name}


@pytest.mark.parametrize(
    "members",
    [
        {"delaySeconds": 1, "runAt": A_DAY},
        {"runAt": A_DAY, "deadline": "2030-01-31T11:59:59Z"},
        {"runAt": A_DAY, "startDeadline": "2030-01-31T12:00:00+01:00"},
    ],
)
def test_times_that_contradict_each_other_are_refused(members: dict[str, Any]) -> None:
    """Such a job could only ever expire."""
    assert mistakes(**members) == [()]


@given(
    st.dictionaries(
        st.sampled_from([*(f.alias or n for n, f in JobOptions.model_fields.items()), "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda below: st.lists(below, max_size=3),
        ),
    )
)
def test_no_nonsense_raises_anything_else(members: dict[str, Any]) -> None:
    """It is a stranger's: a list of mistakes, never a crash."""
    assert isinstance(mistakes(**members), list)


@pytest.mark.parametrize("lasts", ["active", 1, 366 * 86_400])
def test_a_unique_key_is_held_for_a_job_or_a_time(lasts: Any) -> None:
    """Until the job has ended, or for so many seconds from its acceptance."""
    unique = JobOptions.model_validate({"unique": {"key": "bill/7", "while": lasts}}).unique

    assert unique is not None
    assert (unique.key, unique.lasts, unique.on_conflict) == ("bill/7", lasts, OnConflict.RETURN)


@pytest.mark.parametrize(
    "unique",
    [
        {},
        {"key": ""},
        {"key": "k" * 201},
        {"key": "two words"},
        {"key": "\u0430dmin"},  # a look-alike
        {"key": "k", "while": 0},
        {"key": "k", "while": 0.5},
        {"key": "k", "while": True},
        {"key": "k", "while": "60"},
        {"key": "k", "while": 366 * 86_400 + 1},
        {"key": "k", "while": "always"},
        {"key": "k", "onConflict": "ignore"},
        {"key": "k", "scope": "all"},
    ],
    ids=str,
)
def test_a_unique_key_that_is_none_is_refused(unique: Any) -> None:
    """A name that was meant differently would let two jobs pass for one, or one for two."""
    assert mistakes(unique=unique)
