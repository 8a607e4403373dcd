"""What one value of the configuration may look like: a function a rule, from text to the same text or ValueError.

Owns what is the same for every provider: prefixes, origins, ids of 100ms, days, times. What names, ids and keys look
like at a provider is in `components.s3_rules` and `components.gcs_rules`. Does not know the configuration's keys
(`components.settings` does) and never quotes a value: its message says what is legal, whoever prints it decides
whether the value may be shown.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from recordings.outputs import KeyStatus
from recordings.policies import OPERATOR_PREFIX

K = TypeVar("K")
V = TypeVar("V")

MAX_PREFIX_BYTES: Final = 512
"""A key has at most 1,024 bytes, of which 100ms' own part takes less than 256; the rest of the bound keeps the
writer's inline policy, which spells the prefix twice, within IAM's 2,048 characters a user."""
MAX_DAYS: Final = 36_500


def require(condition: object, legal: str) -> None:
    """Raise ValueError that says what is legal, unless `condition` holds."""
    if not condition:
        raise ValueError(legal)


def form(pattern: str, legal: str, value: str) -> str:
    """Check that the whole value has the form of `pattern`."""
    require(re.fullmatch(pattern, value, re.ASCII), legal)
    return value


def is_ip_address(value: str) -> bool:
    """Whether it is an IPv4 address, or four numbers that look like one."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return bool(re.fullmatch(r"(\d+\.){3}\d+", value))
    return True


def path_prefix(value: str) -> str:
    """Check the prefix of all recordings: empty, or segments of S3's safe characters that each end in '/'.

    '*', '?' and '$' would be patterns in an IAM policy.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    segments = value.split("/")
    require(
        value == ""
        or (
            value.endswith("/")
            and all(re.fullmatch(r"[A-Za-z0-9!_.'()-]+", segment, re.ASCII) for segment in segments[:-1])
            and not {".", ".."} & set(segments)
        ),
        "must be empty, or end in '/' with no leading '/', '//', '.' or '..' segment, and hold only letters, digits, "
        "'/' and ! - _ . ' ( )",
    )
    require(len(value) <= MAX_PREFIX_BYTES, f"must have at most {MAX_PREFIX_BYTES} bytes")
    require(not value.startswith(OPERATOR_PREFIX), f"must not begin with '{OPERATOR_PREFIX}', which is the operator's")
    return value


def origin(value: str) -> str:
    """Check one allowed origin of CORS, in the form in which browsers send it; S3 compares character by character.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
    """
    legal = (
        "must be '*', or scheme://host[:port] with http or https, a lower-case host, no path, no default port and at "
        "most one '*', such as https://app.example.com or https://*.example.com"
    )
    match = re.fullmatch(r"(https?)://([a-z0-9*.-]+|\[[0-9a-f:]+\])(?::([1-9]\d{0,4}))?", value, re.ASCII)
    require(value == "*" or match, legal)
    if match:
        scheme, host, port = match.groups()
        require(value.count("*") <= 1 and _is_host(host), legal)
        require(port is None or int(port) <= 65_535, legal)
        require((scheme, port) not in {("http", "80"), ("https", "443")}, legal)
    return value


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    label = r"[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?"
    return len(host) <= 253 and bool(re.fullmatch(rf"{label}(\.{label})*", host))


def origins(values: Sequence[str]) -> Sequence[str]:
    """Check the allowed origins together."""
    require(values, "must name at least one origin, or ['*']")
    require("*" not in values or len(values) == 1, "'*' allows every origin already: give it alone, or leave it out")
    require(len(values) <= 100, "must name at most 100 origins")
    return distinct(values)


def distinct(values: Sequence[str]) -> Sequence[str]:
    """Check that nothing is listed twice."""
    require(len(set(values)) == len(values), "must not list anything twice")
    return values


def template_id(value: str) -> str:
    """Check a 100ms template id."""
    return form(r"[0-9a-f]{24}", "must be 24 hexadecimal digits in lower case, as 100ms shows a template's id", value)


def customer_id(value: str) -> str:
    """Check a 100ms customer id."""
    return form(r"[A-Za-z0-9_-]{1,64}", "must be 1 to 64 letters, digits, '_' and '-', as 100ms shows it", value)


def environment_name(value: str) -> str:
    """Check the environment's name, which becomes a tag."""
    return form(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "must be 1 to 100 letters, digits and . _ -", value)


def utc_time(value: str) -> str:
    """Check a time in UTC; it stays text, as it becomes a tag and an output."""
    legal = "must be a time in UTC, in quotes, as '2027-01-31T12:00:00Z'"
    form(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", legal, value)
    try:
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(legal) from None
    return value


def structure(value: object) -> object:
    """Read a list or map that Pulumi hands over as JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be a list or map: write it in the stack's file as YAML") from None


def frozen(value: Mapping[K, V]) -> Mapping[K, V]:
    """Give a copy that can't be changed."""
    return MappingProxyType(dict(value))


def slots(values: Mapping[K, KeyStatus]) -> Mapping[K, KeyStatus]:
    """Check that a key is active."""
    require(KeyStatus.ACTIVE in values.values(), "must have at least one active slot, as {blue: active}")
    return values


def days_from(least: int) -> Callable[[object], int]:
    """Give a rule that takes a whole number of days from `least` up, as text or number."""
    return partial(days, least)


def days(least: int, value: object) -> int:
    """Take a whole number of days from `least` up, as text or number (Pulumi's protocol has no whole ones)."""
    legal = f"must be a whole number of days from {least} to {MAX_DAYS}"
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    require(re.fullmatch(r"\d{1,5}", text, re.ASCII) and not isinstance(value, bool), legal)
    number = int(text)
    require(least <= number <= MAX_DAYS, legal)
    return number


def boolean(value: object) -> bool:
    """Take true or false, as text or as it is."""
    require(value in ("true", "false") or isinstance(value, bool), "must be true or false")
    return value in ("true", True)
