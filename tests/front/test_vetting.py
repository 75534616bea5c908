"""Vetting: one request judged, purely."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from front_service.pointers import pointer
from front_service.vetting import Ask, vet
from shared.contract.addresses import EgressRules
from shared.contract.errors import Invalid
from shared.contract.ids import THE_TENANT, JobId, TrackId, uuid7
from shared.contract.jobs import Submission
from shared.job_types.demo import ECHO
from tests.front.job_types import ORDER, SCAN

A_JOB = JobId(uuid7(1, b"\x01" * 10))
BLOB = "blob:0193e1a0-0000-7000-8000-000000000000"


def submission(job_type: Any = ECHO, key: str | None = None, **members: Any) -> Submission:
    ask = Ask(
        tenant=THE_TENANT,
        caller="me",
        type=job_type.name,
        members=members,
        track_id=TrackId("t"),
        idempotency_key=key,
    )
    return vet(ask, job_type, A_JOB, max_age=timedelta(days=7), egress=EgressRules())


def mistakes(job_type: Any = ECHO, **members: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        submission(job_type, **members)
    errors: Any = refusal.value.members["errors"]
    return {error["pointer"]: error["detail"] for error in errors}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org",
        "file:///etc/passwd",
        "example.org",
        "http://",
        "https://user:pass@example.org/",
        "https://example.org/#part",
        "https://example.org/a b",
        "https://example.org:99999/",
        "https://[::1/",
        "https://example.org/" + "a" * 2_048,
        "https://exa\nmple.org/",
        7,
        ["https://example.org"],
    ],
)
def test_a_callback_must_be_a_plain_web_address(url: Any) -> None:
    """Judged again when it is dialled; here only what can be told at once."""
    assert list(mistakes(callbackUrl=url)) == ["/callbackUrl"]


def test_a_callback_is_kept() -> None:
    """As it was written."""
    assert submission(callbackUrl="https://example.org/hook?x=1").callback_url is not None
    assert submission(callbackUrl=None).callback_url is None


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"delaySeconds": 1, "runAt": "2030-01-01T00:00:00Z"}, "/job"),
        ({"runAt": "2030-01-01T00:00:00"}, "/job/runAt"),
        ({"runAt": "1960-01-01T00:00:00Z"}, "/job/runAt"),
        ({"runAt": "10000-01-01T00:00:00Z"}, "/job/runAt"),
        ({"delaySeconds": -1}, "/job/delaySeconds"),
        ({"delaySeconds": 1e12}, "/job/delaySeconds"),
        ({"maxAttempts": 101}, "/job/maxAttempts"),
        ({"resultTtlSeconds": 91 * 86_400}, "/job/resultTtlSeconds"),
        ({"orderingKey": ""}, "/job/orderingKey"),
        ({"orderingKey": "a b"}, "/job/orderingKey"),
        ({"orderingKey": "k\u0435y"}, "/job/orderingKey"),
        ({"orderingKey": "x" * 201}, "/job/orderingKey"),
        ({"tags": ["a"] * 21}, "/job/tags"),
        ({"tags": ["\u202e"]}, "/job/tags/0"),
        ({"priority": "urgent"}, "/job/priority"),
        ({"surprise": 1}, "/job/surprise"),
        ([], "/job"),
        ("x", "/job"),
    ],
)
def test_options_of_the_wrong_shape_are_told_by_pointer(options: Any, at: str) -> None:
    """An option that is silently ignored is a promise silently broken."""
    assert list(mistakes(job=options)) == [at]


def test_no_value_of_the_caller_is_repeated() -> None:
    """Logs and error pages are read by others."""
    told = mistakes(ORDER, orderId="1", lineCount="hunter2", job={"priority": "hunter2"})

    assert "hunter2" not in str(told)


def test_a_strange_name_is_shown_harmlessly_and_cut() -> None:
    """Names are the one thing of the caller's that a pointer repeats."""
    assert pointer(["a/b", "c~d", 0]) == "/a~1b/c~0d/0"
    assert pointer(["\x1b[31m"]).isascii()
    assert len(pointer(["x" * 1_000])) <= 201


class TestOrderingKeys:
    def test_free_text_becomes_its_hash(self) -> None:
        """The same text is the same key, however Unicode writes it."""
        composed = submission(ORDER, orderId="K\u00f6ln 7").ordering_key
        decomposed = submission(ORDER, orderId="Ko\u0308ln 7").ordering_key

        assert composed == decomposed
        assert composed is not None
        assert composed.startswith("sha256:")

    def test_what_can_be_a_key_is_one(self) -> None:
        """Seen in lists and logs as the caller knows it."""
        assert submission(ORDER, orderId="order-7").ordering_key == "order-7"

    def test_without_a_key_nothing_blocks(self) -> None:
        """A type without order has no key to hold."""
        assert submission().ordering_key is None
        assert not submission().blocks

    @pytest.mark.parametrize("empty", [None, ""])
    def test_an_empty_member_is_no_key(self, empty: str | None) -> None:
        """All jobs of forgetful callers would wait in one line."""
        assert list(mistakes(ORDER, orderId=empty)) == ["/orderId"]


class TestFiles:
    def test_blobs_are_listed_once_each(self) -> None:
        """The store notes that this job needs them."""
        found = submission(SCAN, document=BLOB, pages=[BLOB, "https://example.org/x"]).blobs

        assert [f"blob:{blob_id}" for blob_id in found] == [BLOB]

    @pytest.mark.parametrize("text", ["blob:1", "file:///etc/passwd", "", BLOB.upper()])
    def test_what_is_no_reference_is_refused(self, text: str) -> None:
        """Told at its place, also in a list."""
        assert list(mistakes(SCAN, document=BLOB, pages=[text])) == ["/pages/0"]


class TestFingerprints:
    def test_equal_requests_are_told_as_equal(self) -> None:
        """Whatever the order of their members."""
        one = submission(key="k", payload={"a": 1, "b": 2}).idempotency
        two = submission(key="k", payload={"b": 2, "a": 1}).idempotency

        assert one == two

    def test_any_difference_tells_them_apart(self) -> None:
        """Also in what is ours: another deadline is another request."""
        one = submission(key="k", payload=1).idempotency
        two = submission(key="k", payload=1, job={"maxAttempts": 1}).idempotency

        assert one is not None
        assert two is not None
        assert one.fingerprint != two.fingerprint


def test_times_are_taken_with_their_offset() -> None:
    """An instant, wherever the caller lives."""
    options = {"runAt": "2030-01-01T01:00:00+01:00", "deadline": "2030-01-02T00:00:00Z"}
    found = submission(job=options)

    assert found.run_at == datetime(2030, 1, 1, tzinfo=UTC)
    assert found.deadline == datetime(2030, 1, 2, tzinfo=UTC)


def test_a_type_that_names_no_age_takes_the_setting() -> None:
    """So that every job has a deadline."""
    assert submission().max_age == timedelta(days=7)


@pytest.mark.parametrize(
    "address",
    ["http://a.example/x", "https://a.example:8080/x", "http://a.example:443/x"],
)
def test_a_file_that_would_never_be_fetched_is_told_by_its_place(address: str) -> None:
    """Else it gets a 202 first, and fails where the caller has long turned away."""
    pages = ["https://a.example/1", address]

    assert list(mistakes(SCAN, document=BLOB, pages=pages)) == ["/pages/1"]
