"""Who may do what from GitHub Actions, as pure data: the roles that the workflows assume by OIDC, on AWS and on Google.

Owns trust (which repository and which of its environments) and permissions, by what a workflow does:

    preview    reads what is deployed                     (preview.yml)
    deploy     makes and changes bucket, users, keys      (up.yml, and the rest of a rotation in nightly.yml)
    operate    beside `deploy`, objects: what commands keep, verification, reconciliation (up.yml, nightly.yml)

Test stacks need `deploy` and `operate` on names that end in `-pr-*`, and the leases in the bucket of the stack that
stays. Calls no cloud, so that the same documents are printed in the documentation and used in the tests.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html, .../list_iam.html,
https://docs.github.com/en/actions/reference/security/oidc,
https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens,
https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

from recordings.policies import OPERATOR_PREFIX, Policy, Statement, bucket_arn, partition

ISSUER: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"
USERS: Final = ("100ms-recording-user-*", "100ms-recording-reader-*")
"""The IAM users that stacks make where they are told no names."""

BUCKET_READS: Final = (
    "s3:ListBucket",
    "s3:GetAccelerateConfiguration",
    "s3:GetBucketAcl",
    "s3:GetBucketCORS",
    "s3:GetBucketLocation",
    "s3:GetBucketLogging",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketRequestPayment",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetBucketWebsite",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
)
"""What the AWS provider reads of a bucket and its parts."""
BUCKET_WRITES: Final = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketCORS",
    "s3:PutBucketLogging",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
)
USER_READS: Final = (
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListUserPolicies",
    "iam:ListUserTags",
)
USER_WRITES: Final = (
    "iam:CreateAccessKey",
    "iam:CreateUser",
    "iam:DeleteAccessKey",
    "iam:DeleteUser",
    "iam:DeleteUserPolicy",
    "iam:PutUserPolicy",
    "iam:TagUser",
    "iam:UntagUser",
    "iam:UpdateAccessKey",
    "iam:UpdateUser",
)
LOOSE_USER_WRITES: Final = ("iam:DeleteLoginProfile", "iam:ListMFADevices", "iam:ListSSHPublicKeys",
                            "iam:ListServiceSpecificCredentials", "iam:ListSigningCertificates")  # fmt: skip
"""What the AWS provider looks at before it deletes a user that `forceDestroy` lets go."""
BUCKET_CONTENTS: Final = ("s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions")
BUCKET_LOOKS: Final = ("s3:GetBucketPolicyStatus",)
"""What `recordings doctor` reads of a bucket beside what the AWS provider does: whether its policy is public."""
OBJECTS: Final = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)

GOOGLE_PREVIEW: Final = ("roles/storage.bucketViewer", "roles/iam.serviceAccountViewer", "roles/browser")
GOOGLE_DEPLOY: Final = ("roles/storage.admin", "roles/storage.hmacKeyAdmin", "roles/iam.serviceAccountAdmin")
"""Google has no smaller role that makes buckets and sets their policy; a project for each environment bounds it."""


class TrustStatement(TypedDict):
    """The one statement of a trust policy, in IAM's own spelling."""

    Sid: str
    Effect: str
    Principal: dict[str, str]
    Action: str
    Condition: dict[str, dict[str, str]]


class TrustPolicy(TypedDict):
    """Who may assume a role; `json.dumps` gives what AWS takes."""

    Version: str
    Statement: list[TrustStatement]


class GoogleTrust(TypedDict):
    """What a workload identity pool must be told of one repository, and who may act as the service account."""

    issuer: str
    attributeMapping: dict[str, str]
    attributeCondition: str
    role: str
    member: str


def trust(account: str, subject: str, environment: str) -> TrustPolicy:
    """Who may assume a role: jobs of one repository in one GitHub environment, and nobody else.

    `subject` names the repository as its tokens do: `acme-123456/recordings-456789`, or in a repository made before
    18 June 2026 (and on GitHub Enterprise Server) `acme/recordings`. Who may run jobs in the environment is decided by
    GitHub: its reviewers and its branches.
    """
    statement: TrustStatement = {
        "Sid": "GitHubEnvironment",
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": AUDIENCE,
                f"{ISSUER}:sub": f"repo:{subject}:environment:{environment}",
            }
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def preview(bucket: str, region: str, account: str, users: Sequence[str] = USERS) -> Policy:
    """Read what is deployed: enough for a preview, with a refresh too. It reads no object and no key's secret."""
    return _policy(
        [
            _allow("ReadBucket", BUCKET_READS, bucket_arn(bucket, region)),
            _allow("ReadUsers", USER_READS, _users(users, region, account)),
        ]
    )


def deploy(bucket: str, region: str, account: str, users: Sequence[str] = USERS) -> Policy:
    """Make, change and delete bucket, users and keys of the names given, and no others."""
    return _policy(
        [
            _allow("Bucket", (*BUCKET_READS, *BUCKET_WRITES), bucket_arn(bucket, region)),
            _allow("Users", (*USER_READS, *USER_WRITES, *LOOSE_USER_WRITES), _users(users, region, account)),
            _allow("LastUse", ("iam:GetAccessKeyLastUsed",), "*"),
        ]
    )


def operate(bucket: str, region: str) -> Policy:
    """What commands do as the operator: remember, verify, list, look for faults, and empty a test stack's bucket."""
    arn = bucket_arn(bucket, region)
    return _policy([_allow("List", (*BUCKET_CONTENTS, *BUCKET_LOOKS), arn), _allow("Objects", OBJECTS, f"{arn}/*")])


def leases(bucket: str, region: str) -> Policy:
    """What test stacks need in the bucket of the stack that stays: the one object that holds the leases.

    Listing is for telling that it is not there yet: without it AWS answers 403.
    """
    arn = bucket_arn(bucket, region)
    held = _allow("Leases", ("s3:GetObject", "s3:PutObject"), f"{arn}/{OPERATOR_PREFIX}leases")
    return _policy([_allow("List", ("s3:ListBucket",), arn), held])


def state(bucket: str, region: str, *, writes: bool) -> Policy:
    """Pulumi's state in a bucket of its own; a preview only reads it."""
    arn = bucket_arn(bucket, region)
    actions = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject") if writes else ("s3:GetObject",)
    return _policy([_allow("ListState", ("s3:ListBucket",), arn), _allow("State", actions, f"{arn}/*")])


def google_trust(project_number: str, pool: str, repository_id: str, environment: str) -> GoogleTrust:
    """The same on Google: the condition names the repository by its number, the member one of its environments."""
    where = f"projects/{project_number}/locations/global/workloadIdentityPools/{pool}"
    return {
        "issuer": f"https://{ISSUER}",
        "attributeMapping": {"google.subject": "assertion.sub", "attribute.environment": "assertion.environment"},
        "attributeCondition": f"assertion.repository_id == '{repository_id}'",
        "role": "roles/iam.workloadIdentityUser",
        "member": f"principalSet://iam.googleapis.com/{where}/attribute.environment/{environment}",
    }


def _users(names: Sequence[str], region: str, account: str) -> list[str]:
    return [f"arn:{partition(region)}:iam::{account}:user/{name}" for name in names]


def _allow(sid: str, actions: Sequence[str], resource: str | list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(statements: list[Statement]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}
