"""Account, region and 100ms customer are the expected ones, or nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from recordings.errors import GuardError
from recordings.guards import check_cloud, check_customer
from recordings.hms_models import Template
from tests.unit.hms_fake import MemoryStore, stack_outputs


def cloud(**outputs: Any) -> None:
    check_cloud(stack_outputs(**outputs), MemoryStore(account_id="111111111111"))  # type: ignore[arg-type]


def test_check_cloud_with_nothing_expected() -> None:
    """Without expectations every place is right."""
    cloud()


def test_check_cloud_as_expected() -> None:
    """The right account and region pass; regions are compared without regard to case (Google writes `EU`)."""
    cloud(expectedAccount="111111111111", expectedRegions=["us-east-1", "EU-Central-1"])


def test_check_cloud_names_every_mismatch_at_once() -> None:
    """Account and region are both named, with what is expected."""
    with pytest.raises(GuardError) as caught:
        cloud(expectedAccount="222222222222", expectedRegions=["us-east-1"])
    for word in ("111111111111", "222222222222", "eu-central-1", "us-east-1", "nothing was changed"):
        assert word in str(caught.value)


@pytest.mark.parametrize("field", ["customer_id", "customerId", "customer"])
def test_check_customer_reads_every_spelling(field: str) -> None:
    """100ms spells the customer differently by page; each is understood."""
    template = Template.model_validate({"id": "t1", field: "c1"})
    check_customer(stack_outputs(expectedCustomer="c1"), [template])
    with pytest.raises(GuardError, match=r"t1.*'c1'.*'c2'"):
        check_customer(stack_outputs(expectedCustomer="c2"), [template])


def test_check_customer_that_is_not_said() -> None:
    """An answer that does not name its customer is no proof: it stops, too."""
    with pytest.raises(GuardError, match="not said"):
        check_customer(stack_outputs(expectedCustomer="c1"), [Template(id="t1")])


def test_check_customer_with_nothing_expected() -> None:
    """Without an expectation every customer is right."""
    check_customer(stack_outputs(), [Template(id="t1")])
