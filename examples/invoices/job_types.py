"""What can be asked: read by both services, so nothing here does any work."""

from datetime import timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from uketsuke import Isolation, JobType, Ordering, Retries

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Cents = Annotated[int, Field(ge=0, le=10**12)]


class Model(BaseModel):
    """Snake case in Python, camel case on the wire; a member that is misspelt is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )


class Line(Model):
    text: str = Field(max_length=200)
    quantity: int = Field(ge=1, le=10_000)
    unit_price_cents: Cents


class RenderRequest(Model):
    customer: Name
    number: Name
    lines: tuple[Line, ...] = Field(min_length=1, max_length=500)


class RenderedInvoice(Model):
    number: str
    total_cents: int
    document: str


class Invoice(Model):
    number: Name
    cents: Cents


class BookRequest(Model):
    invoices: tuple[Invoice, ...] = Field(min_length=1, max_length=1_000)


class Booked(Model):
    booked: int
    attempts: int


class MatchRequest(Model):
    """Every further invoice doubles the work: 24 are some ten seconds."""

    payment_cents: Cents
    open_invoices: tuple[Invoice, ...] = Field(max_length=24)


class Match(Model):
    """``None``: no set of these invoices adds up to the payment."""

    paid: tuple[str, ...] | None


RENDER: Final = JobType(
    name="invoices.render",
    description="Writes an invoice as a page to print.",
    request=RenderRequest,
    result=RenderedInvoice,
    ordering=Ordering(member="customer", required=True),  # one customer's, one after the other
)
BOOK: Final = JobType(
    name="invoices.book",
    description="Enters invoices into the ledger, each exactly once.",
    request=BookRequest,
    result=Booked,
    timeout=timedelta(minutes=2),
    retries=Retries(attempts=10, first=timedelta(seconds=0.5), cap=timedelta(seconds=30)),
)
MATCH: Final = JobType(
    name="invoices.match",
    description="Finds which open invoices a payment pays.",
    request=MatchRequest,
    result=Match,
    timeout=timedelta(minutes=10),
    isolation=Isolation.PROCESS,
)
