"""What storage costs a month, by a table that says of when and from where it is, and that the user can replace.

Owns the table's form and the arithmetic: bytes of a storage class times its price. Storage at rest alone: no requests,
no retrieval, no egress. A region or class that the table has not is told, never guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recordings.errors import UsageError
from recordings.outputs import StorageProvider

GIB: Final = 2**30
"""Both providers bill a GB of 2^30 bytes: https://aws.amazon.com/s3/faqs/, https://cloud.google.com/storage/pricing."""
_LEGAL: Final = (
    'legal is TOML as in the file prices.toml of this package: currency = "USD", then [s3] or [gcs] with a date, a '
    "source, and regions with a price for a GiB and month by storage class"
)
Price = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderPrices(_Model):
    """Prices of one provider by region and storage class; `date` is when the source said so."""

    date: date
    source: str = Field(min_length=1)
    regions: Mapping[str, Mapping[str, Price]]


class Prices(_Model):
    """A price table: a month and a GiB."""

    currency: str = Field(min_length=1, max_length=8)
    s3: ProviderPrices | None = None
    gcs: ProviderPrices | None = None

    def of(self, provider: StorageProvider) -> ProviderPrices | None:
        """Those of a provider, None if the table has none."""
        tables: Mapping[StorageProvider, ProviderPrices | None] = {
            StorageProvider.S3: self.s3,
            StorageProvider.GCS: self.gcs,
        }
        return tables[provider]


@dataclass(frozen=True)
class Cost:
    """A month's cost of what is stored now: in all, by storage class, and the classes that have no price."""

    currency: str
    total: float
    by_class: Mapping[str, float]
    unpriced: tuple[str, ...]
    region: str
    date: date | None
    source: str


def load_prices(file: Path | None = None) -> Prices:
    """The package's own table, or another one. Raises UsageError that says what is wrong with the file."""
    named = f"--prices {str(file)!r}" if file else "the package's price table"
    try:
        text = (file or files("recordings.usage") / "prices.toml").read_text(encoding="utf-8")
        return Prices.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{named} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{named} is not TOML ({error}); {_LEGAL}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5])
        raise UsageError(f"{named} cannot be used ({faults}); {_LEGAL}") from None


def monthly_cost(prices: Prices, provider: StorageProvider, region: str, stored: Mapping[str, int]) -> Cost:
    """What `stored` (bytes by storage class) costs a month in `region`, old versions included."""
    table = prices.of(provider)
    regions = {name.casefold(): classes for name, classes in table.regions.items()} if table else {}
    known = regions.get(region.casefold(), {})
    by_class = {name: octets / GIB * known[name] for name, octets in stored.items() if name in known}
    unpriced = tuple(sorted(name for name, octets in stored.items() if name not in known and octets))
    return Cost(
        prices.currency,
        sum(by_class.values()),
        by_class,
        unpriced,
        region,
        table.date if table else None,
        table.source if table else "",
    )
