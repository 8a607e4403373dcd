"""A Google bucket with writer and reader as a stack would have them: `Stand`'s equal, free to be damaged likewise."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.etree import ElementTree

from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.outputs import StackOutputs, WriterAccess
from recordings.policies_gcs import OBJECT_ADMIN, OBJECT_CREATOR, OBJECT_VIEWER, reader_bindings, writer_bindings
from recordings.verification.cors import EXPOSED
from tests.functional.google_lab import Lab
from tests.functional.places import grants

REGION: Final = "EUROPE-WEST3"
MORE: Final = {"put": OBJECT_CREATOR, "list": "roles/storage.legacyBucketReader", "delete": OBJECT_ADMIN}
"""A role that gives a verb; only `delete` has to be bound to the prefix, since it gives more than its verb."""
LESS: Final = {"put": OBJECT_CREATOR, "read": OBJECT_VIEWER}
"""The role that has to go for a verb to go."""


@dataclass
class GoogleStand:
    """One bucket, its two service accounts and the outputs that describe them (`raw`); for `entered`."""

    raw: dict[str, Any] = field(repr=False)
    lab: Lab = field(repr=False)
    provider = "gcs"

    @classmethod
    def build(
        cls,
        lab: Lab,
        *,
        prefix: str = "recordings/",
        access: WriterAccess = WriterAccess.FULL,
        origins: tuple[str, ...] = ("*",),
    ) -> GoogleStand:
        """Make bucket, bindings, accounts and keys."""
        bucket = lab.bucket(location=REGION, versioning={"enabled": True})
        emails = {who: lab.account() for who in ("writer", "reader")}
        lab.grant(bucket, *grants(emails["writer"], writer_bindings(bucket, prefix, access)))
        lab.grant(bucket, *grants(emails["reader"], reader_bindings(bucket, prefix)))
        raw: dict[str, Any] = {
            "storageProvider": "gcs",
            "bucketName": bucket,
            "region": REGION,
            "pathPrefix": prefix,
            "registeredKey": "blue",
            "writerAccess": access.value,
            "environment": "dev",
            "corsOrigins": list(origins),
            "endpointUrl": lab.url,
        }
        for who, email in emails.items():
            id_, secret = lab.hmac(email)
            raw |= {
                f"{who}AccessKeyId": id_,
                f"{who}SecretAccessKey": secret,
                f"{who}Keys": {"blue": {"id": id_, "secret": secret, "status": "active"}},
                f"{who}Principal": email,
            }
        stand = cls(raw, lab)
        stand.set_cors(*origins)
        stand.set_lifecycle()
        return stand

    @property
    def outputs(self) -> StackOutputs:
        return StackOutputs.from_mapping(self.raw)

    @property
    def bucket(self) -> str:
        return self.outputs.bucket_name

    def declared(self, **changes: Any) -> GoogleStand:
        """The same bucket, described otherwise."""
        return replace(self, raw=self.raw | changes)

    def recordings(self, *arguments: str) -> Result:
        """Run the command `recordings` in this process, the outputs on its standard input."""
        return CliRunner().invoke(app, [*arguments, "--outputs", "-"], input=json.dumps(self.raw))

    def put(self, key: str, body: bytes, content_type: str, **more: Any) -> None:
        """An object, by the operator."""
        assert not more, "what S3 alone has"
        path = f"/upload/storage/v1/b/{self.bucket}/o"
        query, headers = {"uploadType": "media", "name": key}, {"Content-Type": content_type}
        answer = self.lab.operator.post(path, params=query, content=body, headers=headers)
        assert answer.status_code == 200, answer.text

    def set_cors(self, *origins: str, exposed: tuple[str, ...] = EXPOSED) -> None:
        """One rule for these origins; none at all without any."""
        rule = {"origin": list(origins), "method": ["GET", "HEAD"], "responseHeader": ["Range", *exposed]}
        self._change(cors=[rule] if origins else [])

    def set_lifecycle(self, *ids: str) -> None:
        """The rules that a stack has, or those of them that are named; none for the name `none`."""
        verify = f"{self.outputs.path_prefix}.verify/"
        rules = {
            "unfinished": {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
            "old": {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 30}},
            "verify": {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": [verify]}},
        }
        self._change(lifecycle={"rule": [rule for id_, rule in rules.items() if id_ in (ids or rules)]})

    def encrypt(self) -> str:
        """New objects are encrypted with a key of Cloud KMS, whose name is given."""
        key = f"projects/{self.lab.project}/locations/{REGION.lower()}/keyRings/r/cryptoKeys/k"
        self.lab.switch(kmsKeys=[key])
        self._change(encryption={"defaultKmsKeyName": key})
        return key

    def log_to(self, bucket: str) -> None:
        """The access log goes there, as a stack would have it."""
        self._change(logging={"logBucket": bucket, "logObjectPrefix": self.bucket})

    def suspend_versioning(self) -> None:
        """Overwritten recordings are lost from now on."""
        self._change(versioning={"enabled": False})

    def allow_public_access(self) -> None:
        """A policy could open the bucket now."""
        access = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "inherited"}
        self._change(iamConfiguration=access)

    def open_to_the_public(self) -> None:
        """Everybody reads."""
        self.allow_public_access()
        self.lab.grant(self.bucket, ("legacyObjectReader", "allUsers", None))

    def allow(self, who: str, verb: str) -> None:
        """`who` (writer or reader) may do more: put, list anywhere; delete under the prefix."""
        root = f"projects/_/buckets/{self.bucket}/objects/{self.outputs.path_prefix}"
        bound = f"resource.name.startsWith('{root}')" if verb == "delete" else None
        self.lab.grant(self.bucket, (MORE[verb].removeprefix("roles/storage."), self._member(who), bound))

    def deny(self, who: str, verb: str) -> None:
        """`who` may no longer put or read."""
        path = f"/storage/v1/b/{self.bucket}/iam"
        policy = self.lab.operator.get(path, params={"optionsRequestedPolicyVersion": 3}).json()
        policy["bindings"] = [
            binding
            for binding in policy["bindings"]
            if (binding["role"], binding["members"]) != (LESS[verb], [self._member(who)])
        ]
        answer = self.lab.operator.put(path, json=policy)
        assert answer.status_code == 200, answer.text

    def deactivate(self, who: str) -> None:
        """The key of `who` becomes inactive."""
        self._set_key(who, "INACTIVE")

    def activate(self, who: str) -> None:
        """The key of `who` becomes active again."""
        self._set_key(who, "ACTIVE")

    def contents(self) -> list[str]:
        """Every key, of every version, and of every unfinished upload, as the operator sees them."""
        objects = self.lab.operator.get(f"/storage/v1/b/{self.bucket}/o", params={"versions": "true"}).json()
        uploads = ElementTree.fromstring(self.lab.operator.get(f"/{self.bucket}?uploads").content)  # noqa: S314
        keys = [element.text or "" for element in uploads.iter() if element.tag.endswith("}Key")]
        return [item["name"] for item in objects.get("items", ())] + keys

    def _member(self, who: str) -> str:
        return f"serviceAccount:{self.raw[f'{who}Principal']}"

    def _set_key(self, who: str, state: str) -> None:
        path = f"/storage/v1/projects/{self.lab.project}/hmacKeys/{self.raw[f'{who}AccessKeyId']}"
        answer = self.lab.operator.put(path, json={"state": state})
        assert answer.status_code == 200, answer.text

    def _change(self, **fields: Any) -> None:
        answer = self.lab.operator.patch(f"/storage/v1/b/{self.bucket}", json=fields)
        assert answer.status_code == 200, answer.text
