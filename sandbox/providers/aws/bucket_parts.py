"""The settings of a bucket that are resources of their own, but for lifecycle rules.

CORS, public-access block, ownership, encryption, versioning, access log and policy; what each may hold, and its calls.
Allowed words are those of https://docs.aws.amazon.com/AmazonS3/latest/API/API_Types.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers.aws.bucket_part import BucketPart
from sandbox.providers.aws.policy import policy_faults, policy_text
from sandbox.providers.aws.shapes import from_api, to_api
from sandbox.providers.base import CheckFailure, ResourceState
from sandbox.providers.compare import Rules
from sandbox.values import UNKNOWN, Properties, Value


def one_of(path: str, value: Value, legal: Iterable[str]) -> Iterable[CheckFailure]:
    """A failure if a known value is not one of the legal words."""
    words = list(legal)
    if value is not None and value is not UNKNOWN and value not in words:
        yield CheckFailure(path, f"{value!r} is not legal; legal: {', '.join(words)}")


class Cors(BucketPart):
    """Which origins a browser may read from."""

    type_ = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
    args = "pulumi_aws.s3.bucket_cors_configuration:BucketCorsConfigurationArgs"
    absent = frozenset({"NoSuchCORSConfiguration"})
    rules = Rules(
        sets=frozenset(
            {
                "corsRules",
                "corsRules[].allowedHeaders",
                "corsRules[].allowedMethods",
                "corsRules[].allowedOrigins",
                "corsRules[].exposeHeaders",
            }
        )
    )

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """Methods that S3 answers to."""
        for index, rule in enumerate(_known(inputs["corsRules"])):
            for place, method in enumerate(_known(_known_map(rule).get("allowedMethods"))):
                path = f"corsRules[{index}].allowedMethods[{place}]"
                yield from one_of(path, method, ("GET", "PUT", "POST", "DELETE", "HEAD"))

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketCors."""
        self.cloud.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": to_api(inputs["corsRules"])})

    def get(self, bucket: str) -> Properties | None:
        """GetBucketCors."""
        rules = from_api(self.cloud.s3.get_bucket_cors(Bucket=bucket)["CORSRules"])
        return {"corsRules": [{key: value for key, value in rule.items() if value != []} for rule in rules]}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeleteBucketCors."""
        self.cloud.s3.delete_bucket_cors(Bucket=bucket)


class PublicAccessBlock(BucketPart):
    """Refusal of public ACLs and policies."""

    type_ = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    args = "pulumi_aws.s3.bucket_public_access_block:BucketPublicAccessBlockArgs"
    absent = frozenset({"NoSuchPublicAccessBlockConfiguration"})
    unobserved = frozenset({"region", "skipDestroy"})
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    rules = Rules(defaults=dict.fromkeys(flags, False))

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutPublicAccessBlock."""
        flags: Any = to_api({flag: inputs.get(flag, False) for flag in self.flags})
        self.cloud.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=flags)

    def get(self, bucket: str) -> Properties | None:
        """GetPublicAccessBlock."""
        found = self.cloud.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return {flag: from_api(found).get(flag, False) for flag in self.flags}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeletePublicAccessBlock, unless skipDestroy leaves it."""
        if not state.inputs.get("skipDestroy"):
            self.cloud.s3.delete_public_access_block(Bucket=bucket)


class OwnershipControls(BucketPart):
    """Who owns what others put, and with it whether there are ACLs."""

    type_ = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    args = "pulumi_aws.s3.bucket_ownership_controls:BucketOwnershipControlsArgs"
    absent = frozenset({"OwnershipControlsNotFoundError"})

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The three kinds of ownership."""
        legal = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
        yield from one_of("rule.objectOwnership", _known_map(inputs["rule"]).get("objectOwnership"), legal)

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketOwnershipControls."""
        rule: Any = to_api(inputs["rule"])
        self.cloud.s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [rule]})

    def get(self, bucket: str) -> Properties | None:
        """GetBucketOwnershipControls."""
        rules = self.cloud.s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return {"rule": from_api(rules[0])} if rules else None

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeleteBucketOwnershipControls."""
        self.cloud.s3.delete_bucket_ownership_controls(Bucket=bucket)


class Encryption(BucketPart):
    """How objects are encrypted that come with no wish of their own."""

    type_ = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    args = "pulumi_aws.s3.bucket_server_side_encryption_configuration:BucketServerSideEncryptionConfigurationInitArgs"
    absent = frozenset({"ServerSideEncryptionConfigurationNotFoundError"})
    rules = Rules(sets=frozenset({"rules"}), nothing={"rules[].bucketKeyEnabled": (False,)})

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The algorithms, and that a key belongs to KMS."""
        for index, rule in enumerate(_known(inputs["rules"])):
            path = f"rules[{index}].applyServerSideEncryptionByDefault"
            default = _known_map(_known_map(rule).get("applyServerSideEncryptionByDefault"))
            algorithm = default.get("sseAlgorithm")
            yield from one_of(f"{path}.sseAlgorithm", algorithm, ("AES256", "aws:kms", "aws:kms:dsse"))
            if _known_map(rule).get("blockedEncryptionTypes"):
                yield CheckFailure(
                    f"rules[{index}].blockedEncryptionTypes", "is not supported by the stand-in provider"
                )
            if algorithm == "AES256" and default.get("kmsMasterKeyId"):
                yield CheckFailure(f"{path}.kmsMasterKeyId", "goes with sseAlgorithm aws:kms, not with AES256")

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketEncryption."""
        rules: Any = [{"bucketKeyEnabled": False, **rule} for rule in inputs["rules"]]
        self.cloud.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": to_api(rules)})

    def get(self, bucket: str) -> Properties | None:
        """GetBucketEncryption."""
        answer = self.cloud.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        return {"rules": from_api(answer["Rules"])}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeleteBucketEncryption."""
        self.cloud.s3.delete_bucket_encryption(Bucket=bucket)


class Versioning(BucketPart):
    """Whether overwritten and deleted objects are kept; once on, it can only be suspended."""

    type_ = "aws:s3/bucketVersioning:BucketVersioning"
    args = "pulumi_aws.s3.bucket_versioning:BucketVersioningInitArgs"
    unsupported: ClassVar[Mapping[str, str]] = {
        **BucketPart.unsupported,
        "mfa": "MFA delete needs the root user and is set by hand",
    }

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The three states; no MFA delete."""
        settings = _known_map(inputs["versioningConfiguration"])
        legal = ("Enabled", "Suspended", "Disabled")
        yield from one_of("versioningConfiguration.status", settings.get("status"), legal)
        yield from one_of("versioningConfiguration.mfaDelete", settings.get("mfaDelete"), ("Disabled",))

    def forbidden(self, old: Properties, new: Properties) -> str | None:
        """As the official provider has it."""
        before, after = (_known_map(side.get("versioningConfiguration")).get("status") for side in (old, new))
        if before in ("Enabled", "Suspended") and after == "Disabled" and old["bucket"] == new["bucket"]:
            return f"versioningConfiguration.status cannot go from {before!r} to 'Disabled'; legal: Enabled, Suspended"
        return None

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketVersioning; a new bucket is already 'Disabled'."""
        status = inputs["versioningConfiguration"]["status"]
        if status != "Disabled":
            self.cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    def get(self, bucket: str) -> Properties | None:
        """GetBucketVersioning."""
        status = self.cloud.s3.get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")
        return {"versioningConfiguration": {"status": status}}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """Suspend it: versioning has no delete."""
        if state.inputs["versioningConfiguration"]["status"] == "Enabled":
            self.cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


class Logging(BucketPart):
    """Where the access log goes."""

    type_ = "aws:s3/bucketLogging:BucketLogging"
    args = "pulumi_aws.s3.bucket_logging:BucketLoggingInitArgs"
    unsupported: ClassVar[Mapping[str, str]] = {
        **BucketPart.unsupported,
        "targetGrants": "grant the log bucket by its policy",
    }

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketLogging."""
        names = ("targetBucket", "targetPrefix", "targetObjectKeyFormat")
        enabled: Any = to_api({name: inputs[name] for name in names if name in inputs})
        self.cloud.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})

    def get(self, bucket: str) -> Properties | None:
        """GetBucketLogging; it answers for a bucket with no log too."""
        enabled = self.cloud.s3.get_bucket_logging(Bucket=bucket).get("LoggingEnabled")
        return None if not enabled else {k: v for k, v in from_api(enabled).items() if v != []}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """PutBucketLogging with nothing in it."""
        self.cloud.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})


class Policy(BucketPart):
    """The bucket's resource policy."""

    type_ = "aws:s3/bucketPolicy:BucketPolicy"
    args = "pulumi_aws.s3.bucket_policy:BucketPolicyArgs"
    absent = frozenset({"NoSuchBucketPolicy"})
    rules = Rules(json=frozenset({"policy"}))
    unobserved = frozenset({"region"})

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """A policy document."""
        return policy_faults(inputs["policy"])

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketPolicy."""
        self.cloud.s3.put_bucket_policy(Bucket=bucket, Policy=policy_text(inputs["policy"]))

    def get(self, bucket: str) -> Properties | None:
        """GetBucketPolicy."""
        return {"policy": self.cloud.s3.get_bucket_policy(Bucket=bucket)["Policy"]}

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeleteBucketPolicy."""
        self.cloud.s3.delete_bucket_policy(Bucket=bucket)


def _known(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _known_map(value: Value) -> Properties:
    return value if isinstance(value, dict) else {}
