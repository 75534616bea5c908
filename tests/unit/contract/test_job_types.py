"""What a job type states, and what it may not."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from shared.contract.job_types import Catalogue, JobType, job_types_in


class Request(BaseModel):
    text: str = ""


def a_type(name: str = "letters.print", **statements: Any) -> JobType:
    return JobType(name=name, request=Request, **statements)


def test_a_name_gives_the_routes() -> None:
    """``collection.action``."""
    job_type = a_type("letters.print-all")

    assert (job_type.collection, job_type.action) == ("letters", "print-all")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "letters",
        ".print",
        "letters.",
        "letters.print.now",
        "Letters.print",
        "letters.Print",
        "9letters.print",
        "letters.print!",
        "let ters.print",
        "letters.print\n",
        "briefe.größe",
        "l" * 65 + ".print",
        "../etc.passwd",
    ],
)
def test_a_name_that_could_be_no_address_is_refused(name: str) -> None:
    """When the program starts, not when somebody calls."""
    with pytest.raises(ValueError, match=r"collection\.action"):
        a_type(name)


@pytest.mark.parametrize("collection", ["jobs", "blobs", "batches", "stats", "dead-letters"])
def test_our_own_collections_are_not_for_types(collection: str) -> None:
    """Their addresses mean something else."""
    with pytest.raises(ValueError, match=collection):
        a_type(f"{collection}.print")


@pytest.mark.parametrize("pool", ["", "Video", "a b", "a.b", "*", "v" * 65])
def test_a_pool_that_could_be_no_queue_is_refused(pool: str) -> None:
    """Its name becomes a part of the queue's."""
    with pytest.raises(ValueError, match="no name for a pool"):
        a_type(pool=pool)


class Callback(BaseModel):
    callback_url: str = Field(alias="callbackUrl")


class Options(BaseModel):
    job: str


@pytest.mark.parametrize("request_model", [Callback, Options])
def test_our_own_members_are_not_for_requests(request_model: type[BaseModel]) -> None:
    """They would be taken away before the handler could see them."""
    with pytest.raises(ValueError, match="reserved"):
        JobType(name="letters.print", request=request_model)


def test_a_catalogue_finds_types_by_name() -> None:
    """And knows which queues and routes they need."""
    one, other = a_type("letters.print"), a_type("films.cut", pool="video")
    catalogue = Catalogue([one, other, one])

    assert catalogue["letters.print"] is one
    assert set(catalogue) == {"letters.print", "films.cut"}
    assert catalogue.pools == ("default", "video")
    assert catalogue.get("letters.burn") is None


def test_two_types_of_one_name_are_refused() -> None:
    """Which of them a job is would hang on the order of imports."""
    with pytest.raises(ValueError, match=r"letters\.print"):
        Catalogue([a_type(), a_type()])


def test_types_are_found_in_a_module() -> None:
    """Whatever else stands there."""
    job_type = a_type()

    assert job_types_in({"A": job_type, "b": 7, "Request": Request}) == [job_type]
