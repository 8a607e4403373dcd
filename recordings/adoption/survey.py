"""What a bucket and an IAM user are now, as far as taking them over changes it.

Owns the reading, as the operator, by calls that change nothing. What becomes of it is judged in `bucket` and `users`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from recordings.errors import UsageError
from recordings.outages import outages
from recordings.stores.s3_connection import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, telling
from recordings.stores.s3_errors import code_of, mapped

T = TypeVar("T")
Document = Mapping[str, Any]
"""As boto3 or a policy spells it."""


@dataclass(frozen=True)
class BucketFacts:
    """One bucket, in S3's own spelling; what it does not have is empty or None."""

    name: str
    region: str
    tags: Mapping[str, str]
    cors: Sequence[Document]
    lifecycle: Sequence[Document]
    statements: Sequence[Document]
    is_public: bool
    has_block: bool
    ownership: str | None
    grantees: Sequence[str]
    """Whom its ACL names beside its owner."""
    encryption: Document | None
    versioning: str | None
    mfa_delete: bool
    logging: Document | None


@dataclass(frozen=True)
class UserFacts:
    """One IAM user; `inline` maps the name of each inline policy to its statements, `keys` an id to its status."""

    name: str
    path: str
    boundary: str | None
    tags: Mapping[str, str]
    inline: Mapping[str, Sequence[Document]]
    attached: Sequence[str]
    groups: Sequence[str]
    keys: Mapping[str, str]


class Surveyor:
    """Reads one account as whoever is logged in; `region` is where to ask first.

    Raises CredentialsError for a login that AWS' own files name and do not have, or that cannot be read.
    """

    def __init__(self, region: str | None = None) -> None:
        self._outages = outages()
        with mapped("looking for the AWS login of the operator"):
            self._session = boto3.Session()
        self._region = region or self._session.region_name or "us-east-1"

    def account(self) -> str:
        """The account of the login. Raises StoreError."""
        with mapped("GetCallerIdentity as operator"):
            return str(self._client("sts").get_caller_identity()["Account"])

    def bucket(self, name: str, *, options: bool = True) -> BucketFacts:
        """Read a bucket of this account; without `options`, `encryption` and `logging` are not read and None.

        Raises StoreError: it is not there, another account's, or not readable.
        """
        account = self.account()
        with mapped(f"reading s3://{name} as operator"):
            region = self._locate(name, account)
            return _bucket(self._client("s3", region), name, region, options=options)

    def encryption(self, name: str) -> Document | None:
        """GetBucketEncryption: its rule, None where there is none. Raises StoreError."""
        with mapped(f"GetBucketEncryption on s3://{name} as operator"):
            return _encryption(self._client("s3"), name)

    def logging(self, name: str) -> Document | None:
        """GetBucketLogging: its LoggingEnabled, None where nothing is logged. Raises StoreError."""
        with mapped(f"GetBucketLogging on s3://{name} as operator"):
            return _logging(self._client("s3"), name)

    def user(self, name: str) -> UserFacts:
        """Read a user. Raises StoreError, and UsageError where there is none."""
        iam = self._client("iam")
        with mapped(f"reading the IAM user {name!r} as operator"):
            found = _optional("NoSuchEntity", lambda: iam.get_user(UserName=name)["User"])
            if found is None:
                raise UsageError(f"there is no IAM user {name!r} in this account: leave it out, and one is made")
            return _user(iam, name, found)

    def has_user(self, name: str) -> bool:
        """Whether there is such a user. Raises StoreError."""
        iam = self._client("iam")
        with mapped(f"looking for the IAM user {name!r} as operator"):
            return _optional("NoSuchEntity", lambda: iam.get_user(UserName=name)) is not None

    def access_keys(self, user: str) -> list[Document]:
        """The keys of a user: `AccessKeyId`, `Status`, `CreateDate`. Raises StoreError."""
        pages = self._client("iam").get_paginator("list_access_keys")
        with mapped(f"listing the access keys of the IAM user {user!r} as operator"):
            return [key for page in pages.paginate(UserName=user) for key in page["AccessKeyMetadata"]]

    def last_used(self, key_id: str) -> Document:
        """GetAccessKeyLastUsed: `UserName` and `AccessKeyLastUsed`. Raises StoreError, for a deleted key too."""
        with mapped(f"asking when the access key {key_id} was last used as operator"):
            answer: Document = self._client("iam").get_access_key_last_used(AccessKeyId=key_id)
            return answer

    def _client(self, service: str, region: str | None = None) -> Any:
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        where: Any = {"region_name": region or self._region, "config": config}
        with mapped(f"making a client for {service}"):
            client: Any = self._session.client(service, **where)  # type: ignore[call-overload]
        return telling(client, self._outages)

    def _locate(self, name: str, account: str) -> str:
        """GetBucketLocation, where nothing means us-east-1 and `EU` eu-west-1. HeadBucket would give no reason."""
        answer = self._client("s3").get_bucket_location(Bucket=name, ExpectedBucketOwner=account)
        found = answer.get("LocationConstraint")
        return "eu-west-1" if found == "EU" else str(found or "us-east-1")


def _bucket(s3: Any, name: str, region: str, *, options: bool) -> BucketFacts:
    def ask(operation: str, absent: str, *path: str) -> Any:
        answer: Any = _optional(absent, lambda: getattr(s3, operation)(Bucket=name))
        for key in path if answer is not None else ():
            answer = answer.get(key) or {}
        return answer

    statements = _statements(ask("get_bucket_policy", "NoSuchBucketPolicy", "Policy") or "{}")
    versioning = s3.get_bucket_versioning(Bucket=name)
    ownership = ask("get_bucket_ownership_controls", "OwnershipControlsNotFoundError", "OwnershipControls", "Rules")
    acl = s3.get_bucket_acl(Bucket=name)
    return BucketFacts(
        name=name,
        region=region,
        tags=tag_map(ask("get_bucket_tagging", "NoSuchTagSet", "TagSet")),
        cors=ask("get_bucket_cors", "NoSuchCORSConfiguration", "CORSRules") or (),
        lifecycle=ask("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", "Rules") or (),
        statements=statements,
        is_public=bool(statements) and (bool(_public(s3, name)) or any(map(_for_everybody, statements))),
        has_block=ask("get_public_access_block", "NoSuchPublicAccessBlockConfiguration") is not None,
        ownership=ownership[0]["ObjectOwnership"] if ownership else None,
        grantees=_grantees(acl),
        encryption=_encryption(s3, name) if options else None,
        versioning=versioning.get("Status"),
        mfa_delete=versioning.get("MFADelete") == "Enabled",
        logging=_logging(s3, name) if options else None,
    )


def _encryption(s3: Any, name: str) -> Document | None:
    absent = "ServerSideEncryptionConfigurationNotFoundError"
    answer: Any = _optional(absent, lambda: s3.get_bucket_encryption(Bucket=name))
    rules = answer["ServerSideEncryptionConfiguration"].get("Rules") if answer else None
    return rules[0] if rules else None


def _logging(s3: Any, name: str) -> Document | None:
    found: Document | None = s3.get_bucket_logging(Bucket=name).get("LoggingEnabled")
    return found


def _user(iam: Any, name: str, found: Document) -> UserFacts:
    def every(operation: str, key: str) -> list[Any]:
        return [item for page in iam.get_paginator(operation).paginate(UserName=name) for item in page[key]]

    inline = {
        policy: _statements(iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"])
        for policy in every("list_user_policies", "PolicyNames")
    }
    return UserFacts(
        name=str(found["UserName"]),
        path=str(found.get("Path", "/")),
        boundary=found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        tags=tag_map(every("list_user_tags", "Tags")),
        inline=inline,
        attached=[policy["PolicyName"] for policy in every("list_attached_user_policies", "AttachedPolicies")],
        groups=[group["GroupName"] for group in every("list_groups_for_user", "Groups")],
        keys={key["AccessKeyId"]: key["Status"] for key in every("list_access_keys", "AccessKeyMetadata")},
    )


def tag_map(tags: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as a map."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def _optional(absent: str, call: Callable[[], T]) -> T | None:
    """What `call` gives, or None where the error says that there is none; any other error is raised."""
    try:
        return call()
    except ClientError as error:
        if code_of(error) != absent:
            raise
        return None


def _statements(policy: str | Document) -> list[Document]:
    document = json.loads(policy) if isinstance(policy, str) else policy
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _public(s3: Any, name: str) -> bool:
    answer = _optional("NoSuchBucketPolicy", lambda: s3.get_bucket_policy_status(Bucket=name))
    return bool(answer and answer["PolicyStatus"].get("IsPublic"))


def _for_everybody(statement: Document) -> bool:
    principal = statement.get("Principal")
    everybody = principal == "*" or (isinstance(principal, dict) and "*" in _list(principal.get("AWS", [])))
    return everybody and statement.get("Effect") == "Allow" and not statement.get("Condition")


def _grantees(acl: Document) -> list[str]:
    owner = acl.get("Owner", {}).get("ID")
    named = [(grant.get("Grantee", {}), grant.get("Permission", "")) for grant in acl.get("Grants", ())]
    return [
        f"{grantee.get('URI') or grantee.get('DisplayName') or grantee.get('ID') or grantee.get('EmailAddress')} "
        f"({permission})"
        for grantee, permission in named
        if grantee.get("ID") != owner or grantee.get("URI")
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
