"""What one value of the configuration may look like on AWS: a function a rule, as in `components.rules`.

Owns the forms of names, ids, ARNs and tags that S3 and IAM take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from components.rules import form, is_ip_address, require

MAX_TAGS: Final = 50

_ARN_HEAD: Final = r"arn:aws(?:-[a-z]+)*"


def bucket_name(value: str) -> str:
    """Check the name of a general purpose bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    require(
        re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) and ".." not in value and not is_ip_address(value),
        "must be 3 to 63 lower-case letters, digits, '-' and '.', begin and end with a letter or digit, hold no '..' "
        "and not be an IP address",
    )
    starts, ends = ("xn--", "sthree-", "amzn-s3-demo-"), ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
    require(
        not value.startswith(starts) and not value.endswith(ends),
        f"must not begin with {', '.join(starts)} nor end with {', '.join(ends)}: AWS keeps these for itself",
    )
    return value


def user_name(value: str) -> str:
    """Check the name of an IAM user: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html."""
    return form(r"[A-Za-z0-9_+=,.@-]{1,64}", "must be 1 to 64 letters, digits and _ + = , . @ -", value)


def policy_name(value: str) -> str:
    """Check the name of an inline policy: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html."""
    return form(r"[A-Za-z0-9_+=,.@-]{1,128}", "must be 1 to 128 letters, digits and _ + = , . @ -", value)


def iam_path(value: str) -> str:
    """Check the path of IAM users: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html."""
    legal = "must be '/', or begin and end with '/', as '/teams/video/', with at most 512 printable ASCII characters"
    require(len(value) <= 512, legal)
    return form(r"/|(/[!-.0-~]+)+/", legal, value)


def policy_arn(value: str) -> str:
    """Check the ARN of a managed policy."""
    return form(
        rf"{_ARN_HEAD}:iam::(\d{{12}}|aws):policy/[!-~]{{1,512}}",
        "must be the ARN of a managed policy, as arn:aws:iam::123456789012:policy/NAME",
        value,
    )


def principal_arn(value: str) -> str:
    """Check the ARN of the IAM user that holds an access key made elsewhere."""
    return form(
        rf"{_ARN_HEAD}:iam::\d{{12}}:user/[!-~]{{1,576}}",
        "must be the ARN of an IAM user, as arn:aws:iam::123456789012:user/NAME (a role has no lasting access key)",
        value,
    )


def access_key_id(value: str) -> str:
    """Check the id of a lasting access key.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    require(
        re.fullmatch(r"[A-Z0-9]{16,128}", value) and not value.startswith("ASIA"),
        "must be a lasting access key id: 16 to 128 upper-case letters and digits, not a session's (ASIA...)",
    )
    return value


def kms_key_arn(value: str) -> str:
    """Check the ARN of a KMS key; an alias is none, as IAM policies can't name one."""
    return form(
        rf"{_ARN_HEAD}:kms:[a-z0-9-]+:\d{{12}}:key/(mrk-[0-9a-f]{{32}}|[0-9a-f-]{{36}})",
        "must be the ARN of a key, as arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab, "
        "not of an alias",
        value,
    )


def region(value: str) -> str:
    """Check the form of an AWS region's name."""
    return form(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}", "must be an AWS region, as us-east-1 or eu-central-1", value)


def account_id(value: str) -> str:
    """Check an AWS account id."""
    return form(r"\d{12}", "must be 12 digits, in quotes: YAML drops a leading zero", value)


def tags(values: Mapping[str, str]) -> Mapping[str, str]:
    """Check tags for S3 and IAM, which together allow less than each.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
    """
    require(len(values) <= MAX_TAGS, f"must be at most {MAX_TAGS} tags")
    require(len({key.casefold() for key in values}) == len(values), "must differ in more than upper and lower case")
    for key, value in values.items():
        require(
            re.fullmatch(r"[\w +=.:/@-]{1,128}", key) and re.fullmatch(r"[\w +=.:/@-]{0,256}", value),
            "must have keys of 1 to 128 and values of up to 256 letters, digits, spaces and _ . : / = + - @",
        )
        require(not key.casefold().startswith("aws:"), "must not have a key that begins with 'aws:', which is Amazon's")
    return values
