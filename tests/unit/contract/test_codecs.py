"""Knocks and news: strict to write, tolerant to read, and never surprised."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.events import News, decode_news, encode_news
from shared.contract.ids import JobId
from shared.contract.messages import (
    MOST_JOBS,
    NewerKnock,
    UnreadableKnock,
    decode_knock,
    encode_knock,
)
from tests.support.builders import a_job_id

job_ids = st.builds(JobId, st.uuids())
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8")),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), below, max_size=4)
    ),
)


@given(st.lists(job_ids, min_size=1, max_size=MOST_JOBS), st.booleans())
def test_a_knock_says_what_was_written(ids: list[JobId], keyed: bool) -> None:  # noqa: FBT001  drawn
    """In the order of the group commit."""
    knock = decode_knock(encode_knock(ids, keyed=keyed))

    assert knock.job_ids == tuple(ids)
    assert knock.keyed is keyed


@given(st.binary())
def test_bytes_that_are_no_knock_are_unreadable(body: bytes) -> None:
    """Anybody who reaches the broker may write anything: one exception, and only that."""
    with pytest.raises(UnreadableKnock):
        decode_knock(body)


@given(values)
def test_json_that_is_no_knock_is_unreadable(value: object) -> None:
    """Of whatever shape it is."""
    with pytest.raises(UnreadableKnock):
        decode_knock(orjson.dumps(value))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": 2.5},
        {"version": "2"},
        {"version": "new"},
        {"job_ids": []},
        {"job_ids": None},
        {"job_ids": ["x"]},
        {"job_ids": [1]},
        {"job_ids": [str(a_job_id())] * (MOST_JOBS + 1)},
        {"keyed": "perhaps"},
    ],
)
def test_a_knock_with_one_wrong_member_is_unreadable(change: dict[str, object]) -> None:
    """It goes to the dead letters with its bytes, for a person to look at."""
    knock = orjson.loads(encode_knock([a_job_id()], keyed=False))

    with pytest.raises(UnreadableKnock) as caught:
        decode_knock(orjson.dumps(knock | change))
    assert not isinstance(caught.value, NewerKnock)


@pytest.mark.parametrize("rest", [{}, {"job_ids": "elsewhere"}, {"job_ids": [str(a_job_id())]}])
def test_a_knock_of_a_newer_version_is_told_from_nonsense(rest: dict[str, object]) -> None:
    """F22: a front that was rolled too early is not to fill the dead letters."""
    with pytest.raises(NewerKnock):
        decode_knock(orjson.dumps({"version": 2} | rest))


def test_a_knock_may_say_more_than_we_know() -> None:
    """A newer front beside an older worker: replicas are replaced one by one."""
    body = orjson.loads(encode_knock([a_job_id()], keyed=False)) | {"mood": "good"}

    assert len(decode_knock(orjson.dumps(body)).job_ids) == 1


def test_an_unreadable_knock_does_not_repeat_what_it_said() -> None:
    """Its reason goes to the log: a stranger's bytes must not."""
    with pytest.raises(UnreadableKnock) as caught:
        decode_knock(b'{"job_ids": ["canary-4711"]}')

    assert "canary" not in str(caught.value)


@given(st.lists(st.builds(News, job_ids, st.integers(1, 2**31 - 1)), max_size=20))
def test_news_say_what_was_written(news: list[News]) -> None:
    """Which job, up to which number."""
    assert decode_news(encode_news(news)) == news


@given(st.binary() | values.map(orjson.dumps))
def test_whatever_is_no_news_is_passed_over(body: bytes) -> None:
    """They are hints: what they hide is found by looking, and what they forge is looked up."""
    assert decode_news(body) == []


def test_news_of_nonsense_among_good_ones_are_passed_over() -> None:
    """One forged line does not hide its neighbours."""
    job_id = a_job_id()
    body = orjson.dumps({"v": 1, "news": [[str(job_id), 3], ["not an id", 4]]})

    assert decode_news(body) == [News(job_id, 3)]


@pytest.mark.parametrize("version", [{"v": 2}, {"v": 0}, {"v": "1"}, {}])
def test_news_of_another_version_are_passed_over(version: dict[str, object]) -> None:
    """Whoever watches reads the store again: nothing is lost by it, and nothing misread."""
    assert decode_news(orjson.dumps(version | {"news": [[str(a_job_id()), 3]]})) == []
