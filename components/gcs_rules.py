"""What one value of the configuration may look like on Google Cloud: a function a rule, as in `components.rules`.

Owns the forms of names, ids, keys, locations and labels that Cloud Storage and IAM take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from components.rules import form, require
from components.rules import origin as any_origin

MAX_LABELS: Final = 64
_LABEL: Final = r"[a-z][a-z0-9_-]{0,62}"
_LABEL_VALUE: Final = r"[a-z0-9_-]{0,63}"
_MULTI_REGIONS: Final = ("asia", "eu", "us")
_DUAL_REGIONS: Final = ("asia1", "eur4", "eur5", "eur7", "eur8", "nam4")
_KEY_LOCATIONS: Final[Mapping[str, str]] = {"eu": "europe"}
"""Where keys for a multi-region lie when it is called otherwise there."""


def bucket_name(value: str) -> str:
    """Check the name of a bucket: https://cloud.google.com/storage/docs/buckets#naming.

    A name with dots is a domain, which Google takes from its verified owner alone.
    """
    require(
        re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", value),
        "must be 3 to 63 lower-case letters, digits, '-' and '_', begin and end with a letter or digit, and hold no "
        "'.': Google takes that for a domain to be verified",
    )
    require(
        not value.startswith("goog") and not re.search(r"g[o0][o0]g[l1]e", value),
        "must not begin with 'goog', nor hold 'google' or what looks like it: Google keeps these for itself",
    )
    return value


def account_name(value: str) -> str:
    """Check the id of a service account.

    https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/create
    """
    legal = "must be 6 to 30 lower-case letters, digits and '-', begin with a letter and not end with '-'"
    require(6 <= len(value) <= 30, legal)
    return form(r"[a-z]([-a-z0-9]*[a-z0-9])", legal, value)


def principal_email(value: str) -> str:
    """Check the e-mail of the service account that holds an HMAC key made elsewhere."""
    return form(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?@([a-z0-9-]+\.)+gserviceaccount\.com",
        "must be the e-mail of a service account, as NAME@PROJECT.iam.gserviceaccount.com",
        value,
    )


def access_id(value: str) -> str:
    """Check the access id of a service account's HMAC key.

    https://cloud.google.com/storage/docs/authentication/hmackeys
    """
    return form(
        r"GOOG[A-Z0-9]{57}",
        "must be the access id of a service account's HMAC key: GOOG and 57 more upper-case letters and digits (those "
        "of a person's key are shorter)",
        value,
    )


def kms_key(value: str) -> str:
    """Check the resource name of a key of Cloud KMS, without a version."""
    return form(
        r"projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}/cryptoKeys/[A-Za-z0-9_-]{1,63}",
        "must be a key's resource name, as projects/PROJECT/locations/europe-west1/keyRings/RING/cryptoKeys/KEY, "
        "without a version",
        value,
    )


def no_reader_key(value: object) -> None:
    """Refuse the key of a bucket that is only read from: Cloud Storage itself uses it, the reader needs no right."""
    require(value is None, "must be left out: on Google a reader needs no right on the key")


def key_location(bucket_location: str) -> str:
    """Name the location of Cloud KMS whose keys a bucket in `bucket_location` can use.

    https://cloud.google.com/storage/docs/encryption/customer-managed-keys#restrictions
    """
    return _KEY_LOCATIONS.get(bucket_location, bucket_location)


def location(value: str) -> str:
    """Check the form of a bucket's location, and give it as regions are written: in lower case.

    https://cloud.google.com/storage/docs/locations
    """
    lower = value.lower()
    require(
        lower in (*_MULTI_REGIONS, *_DUAL_REGIONS) or re.fullmatch(r"[a-z]+(-[a-z]+)+\d{1,2}", lower, re.ASCII),
        "must be a Google Cloud region, as us-east1 or europe-west1, a multi-region "
        f"({', '.join(_MULTI_REGIONS)}) or a dual-region ({', '.join(_DUAL_REGIONS)})",
    )
    return lower


def project_id(value: str) -> str:
    """Check the id of a project: https://cloud.google.com/resource-manager/docs/creating-managing-projects."""
    return form(
        r"([a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "must be a project's id (not its number or name): 6 to 30 lower-case letters, digits and '-', beginning with a "
        "letter",
        value,
    )


def origin(value: str) -> str:
    """Check one allowed origin of CORS; Google compares it as a whole.

    https://cloud.google.com/storage/docs/cross-origin
    """
    require(
        value == "*" or "*" not in value,
        "must be '*' or a whole origin, such as https://app.example.com: Google knows no '*' within one",
    )
    return any_origin(value)


def labels(values: Mapping[str, str]) -> Mapping[str, str]:
    """Check tags, which are labels here: https://cloud.google.com/storage/docs/tags-and-labels#bucket-labels."""
    require(len(values) <= MAX_LABELS, f"must be at most {MAX_LABELS} labels")
    for key, value in values.items():
        require(
            re.fullmatch(_LABEL, key, re.ASCII) and re.fullmatch(_LABEL_VALUE, value, re.ASCII),
            "are labels on Google Cloud: keys of 1 to 63 and values of up to 63 lower-case letters, digits, '_' and "
            "'-', keys beginning with a letter",
        )
        require(not key.startswith("goog"), "must not have a key that begins with 'goog', which is Google's")
    return values


def label_value(text: str) -> str:
    """`text` as a label's value: in lower case, with '-' for what labels do not take, cut to 63 characters."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
