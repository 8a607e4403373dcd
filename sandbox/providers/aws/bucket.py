"""The resource kind `aws:s3/bucket:Bucket`: the bucket itself, its tags and its end.

Everything that has a resource of its own (versioning, CORS, …) is refused here and lives in
`sandbox.providers.aws.bucket_parts`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sandbox.providers.aws.cloud import GONE, Cloud, CloudError
from sandbox.providers.base import CheckFailure, ProviderError, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.kinds import AutoName, Kind
from sandbox.values import UNKNOWN, Properties

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CreateBucketRequestTypeDef, ObjectIdentifierTypeDef

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BATCH = 1000
"""Objects a request can delete: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""

_HOSTED_ZONES: Final[Mapping[str, str]] = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
    "ap-northeast-1": "Z2M4EHUR26P7ZW",
    "ap-south-1": "Z11RGJOFQNVJUP",
    "ap-southeast-1": "Z3O0J2DXBE1FTB",
    "ap-southeast-2": "Z1WCIGYICN2BYD",
    "ca-central-1": "Z1QDHH18159H29",
    "eu-central-1": "Z21DNDUVLTQW6Q",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-west-2": "Z3GKZC51ZF0DB4",
    "eu-west-3": "Z3R1K369G5AVDG",
    "sa-east-1": "Z7KQH4QJS55SO",
}
"""Of S3 website endpoints: https://docs.aws.amazon.com/general/latest/gr/s3.html; left out where not listed."""

_OWN_RESOURCE = "declare the resource of its own"


class Bucket(Kind):
    """A general purpose bucket; id: its name."""

    type_ = "aws:s3/bucket:Bucket"
    args = "pulumi_aws.s3.bucket:BucketArgs"
    replace_on = frozenset({"bucket", "region", "objectLockEnabled"})
    rules = Rules(defaults={"forceDestroy": False, "objectLockEnabled": False, "tags": {}})
    computed = (
        "arn",
        "bucketDomainName",
        "bucketRegion",
        "bucketRegionalDomainName",
        "hostedZoneId",
        "region",
        "tagsAll",
    )
    unobserved = frozenset({"forceDestroy", "region"})
    unsupported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            (
                "accelerationStatus",
                "acl",
                "corsRules",
                "grants",
                "lifecycleRules",
                "logging",
                "objectLockConfiguration",
                "policy",
                "replicationConfiguration",
                "requestPayer",
                "serverSideEncryptionConfiguration",
                "versioning",
                "website",
            ),
            _OWN_RESOURCE,
        ),
        "bucketPrefix": "give `bucket`, or neither for an automatic name",
        "bucketNamespace": "leave it out",
    }
    auto_name = AutoName("bucket", max_length=63, lowercase=True)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """Bucket naming rules: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""
        name = inputs["bucket"]
        if name is not UNKNOWN and (not _NAME.fullmatch(name) or ".." in name):
            yield CheckFailure(
                "bucket",
                f"{name!r} is no bucket name: 3 to 63 of a-z, 0-9, '.' and '-', beginning and ending with a-z or 0-9",
            )

    def create(self, inputs: Properties) -> ResourceState:
        """Create it and set its tags."""
        name, region = inputs["bucket"], inputs.get("region") or self._cloud.region
        if self._exists(name):
            # In us-east-1 the API itself answers 200 for one's own bucket, so it must be looked for.
            raise CloudError(
                f"creating bucket {name!r}: BucketAlreadyOwnedByYou: it exists. "
                "Choose another name, or import the bucket.",
                "BucketAlreadyOwnedByYou",
            )
        request: CreateBucketRequestTypeDef = {"Bucket": name}
        if region != "us-east-1":
            request["CreateBucketConfiguration"] = {"LocationConstraint": region}  # type: ignore[typeddict-item]
        if inputs.get("objectLockEnabled"):
            request["ObjectLockEnabledForBucket"] = True
        with self._cloud.asking(f"creating bucket {name!r}"):
            self._cloud.s3.create_bucket(**request)
        state = ResourceState(name, inputs, self._outputs(name, region, inputs))
        try:
            self._tag(name, inputs.get("tags") or {})
        except ProviderError as error:
            untagged = {key: value for key, value in inputs.items() if key != "tags"}
            partial = ResourceState(name, untagged, self._outputs(name, region, untagged))
            raise ProviderError(str(error), partial=partial) from None
        return state

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """The bucket's tags, region and object lock."""
        if not self._exists(id_):
            return None
        s3 = self._cloud.s3
        with self._cloud.asking(f"reading bucket {id_!r}"):
            region = s3.get_bucket_location(Bucket=id_).get("LocationConstraint") or "us-east-1"
        inputs: Properties = {"bucket": id_, "forceDestroy": bool((outputs or {}).get("forceDestroy"))}
        inputs["tags"] = self._tags(id_)
        inputs["objectLockEnabled"] = self._locked(id_)
        return ResourceState(id_, inputs, self._outputs(id_, region, inputs))

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Set the tags; forceDestroy is the provider's own."""
        if (state.inputs.get("tags") or {}) != (new.get("tags") or {}):
            self._tag(state.id, new.get("tags") or {})
        region = state.outputs.get("region") or self._cloud.region
        return ResourceState(state.id, new, self._outputs(state.id, region, new))

    def delete(self, state: ResourceState) -> None:
        """Delete it; with forceDestroy its objects, versions and unfinished uploads first."""
        force = state.inputs.get("forceDestroy", False)
        try:
            if force:
                self._empty(state.id)
            with self._cloud.asking(f"deleting bucket {state.id!r}"):
                self._cloud.s3.delete_bucket(Bucket=state.id)
        except CloudError as error:
            if error.code not in GONE:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Its name is its id; the list of buckets alone tells when it was made."""
        name = inputs["bucket"]
        found = None if name in known_ids else self.read(name, None)
        if found is None:
            return None
        with self._cloud.asking(f"looking when bucket {name!r} was made"):
            buckets = self._cloud.s3.list_buckets(Prefix=name)["Buckets"]
        return replace(found, made=next((each["CreationDate"] for each in buckets if each["Name"] == name), None))

    def _exists(self, name: str) -> bool:
        try:
            with self._cloud.asking(f"looking for bucket {name!r}"):
                self._cloud.s3.head_bucket(Bucket=name)
        except CloudError as error:
            if error.code in GONE:
                return False
            raise
        return True

    def _outputs(self, name: str, region: str, inputs: Properties) -> Properties:
        tags = inputs.get("tags") or {}
        outputs: Properties = {
            "arn": f"arn:aws:s3:::{name}",
            "bucket": name,
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegion": region,
            "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "forceDestroy": inputs.get("forceDestroy", False),
            "objectLockEnabled": inputs.get("objectLockEnabled", False),
            "region": region,
            "tagsAll": tags,
        }
        if tags:
            outputs["tags"] = tags
        if region in _HOSTED_ZONES:
            outputs["hostedZoneId"] = _HOSTED_ZONES[region]
        return outputs

    def _tags(self, name: str) -> dict[str, str]:
        try:
            with self._cloud.asking(f"reading the tags of bucket {name!r}"):
                answer = self._cloud.s3.get_bucket_tagging(Bucket=name)
        except CloudError as error:
            if error.code == "NoSuchTagSet":
                return {}
            raise
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with self._cloud.asking(f"tagging bucket {name!r}"):
            if tags:
                tag_set: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
                self._cloud.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_set})
            else:
                self._cloud.s3.delete_bucket_tagging(Bucket=name)

    def _locked(self, name: str) -> bool:
        try:
            with self._cloud.asking(f"reading the object lock of bucket {name!r}"):
                answer = self._cloud.s3.get_object_lock_configuration(Bucket=name)
        except CloudError as error:
            if error.code == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    def _empty(self, name: str) -> None:
        s3 = self._cloud.s3
        with self._cloud.asking(f"emptying bucket {name!r}"):
            for page in s3.get_paginator("list_object_versions").paginate(
                Bucket=name, PaginationConfig={"PageSize": _BATCH}
            ):
                entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects: list[ObjectIdentifierTypeDef] = [
                    {"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries
                ]
                self._delete_objects(name, objects)
            for uploads in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
                for upload in uploads.get("Uploads", []):
                    s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])

    def _delete_objects(self, name: str, objects: list[ObjectIdentifierTypeDef]) -> None:
        if not objects:
            return
        answer = self._cloud.s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise CloudError(
                f"emptying bucket {name!r}: {len(errors)} objects stay, the first {first.get('Key')!r}: "
                f"{first.get('Code')}: {first.get('Message')}",
                first.get("Code", "Unknown"),
            )
