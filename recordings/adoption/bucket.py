"""What becomes of an existing bucket when the stack takes it over: what goes, what stays and is written down.

Owns everything but lifecycle rules (`recordings.adoption.lifecycle`). Each setting that the stack declares replaces the
one that is there, as the cloud's API does; what would be lost by that is a finding, what can be kept by a configuration
key is proposed as its value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from recordings.adoption.common import CorsRule, judge_cors, judge_deletion
from recordings.adoption.findings import Proposal, check_owner
from recordings.adoption.parts import Part
from recordings.adoption.stack_file import StackFile
from recordings.adoption.survey import BucketFacts, Document
from recordings.policies import bucket_policy
from recordings.verification.cors import EXPOSED


def judge_bucket(proposal: Proposal, facts: BucketFacts, file: StackFile, stack: str) -> None:
    """Find what taking the bucket over would cost, and propose the configuration that keeps the rest."""
    proposal.set("bucketName", facts.name)
    proposal.parts.append(Part.BUCKET)
    _judge_place(proposal, facts, file)
    check_owner(proposal, f"bucket {facts.name!r}", facts.tags, stack)
    judge_deletion(proposal, file)
    for part, there in (
        (Part.CORS, facts.cors),
        (Part.PUBLIC_ACCESS, facts.has_block),
        (Part.OWNERSHIP, facts.ownership),
        (Part.ENCRYPTION, facts.encryption),
        (Part.POLICY, facts.statements),
        (Part.VERSIONING, facts.versioning),
        (Part.LIFECYCLE, facts.lifecycle),
    ):
        if there:
            proposal.parts.append(part)
    _judge_cors(proposal, facts, file)
    _judge_policy(proposal, facts)
    _judge_access(proposal, facts)
    _judge_encryption(proposal, facts, file)
    _judge_versioning(proposal, facts)
    _judge_log(proposal, facts, file)


def _judge_place(proposal: Proposal, facts: BucketFacts, file: StackFile) -> None:
    region = file.at("aws:region")
    if region is None:
        proposal.values["aws:region"] = facts.region
    elif region != facts.region:
        proposal.find(
            "region", f"the bucket lies in {facts.region}, the stack in {region}: correct aws:region", acceptable=False
        )


def _judge_cors(proposal: Proposal, facts: BucketFacts, file: StackFile) -> None:
    rules = [
        CorsRule(
            str(rule.get("ID") or number),
            rule.get("AllowedMethods", ()),
            rule.get("AllowedOrigins", ()),
            rule.get("ExposeHeaders", ()),
        )
        for number, rule in enumerate(facts.cors, start=1)
    ]
    judge_cors(proposal, rules, EXPOSED, file)


def _judge_policy(proposal: Proposal, facts: BucketFacts) -> None:
    ours = [_meaning(statement) for statement in bucket_policy(facts.name, facts.region)["Statement"]]
    for number, statement in enumerate(facts.statements, start=1):
        if _meaning(statement) not in ours:
            name = statement.get("Sid") or str(number)
            text = f"statement {name!r} of the bucket policy goes: {shown(statement)}"
            proposal.find(f"policy:{name}", text)


def _judge_access(proposal: Proposal, facts: BucketFacts) -> None:
    if facts.is_public:
        proposal.find("public-access", "the bucket's policy lets everybody in; all public access will be blocked")
    if facts.ownership == "BucketOwnerEnforced":
        return
    if facts.grantees:
        proposal.find(
            "acl",
            f"the bucket's ACL grants access to {', '.join(facts.grantees)}, and S3 turns ACLs off only when that is "
            "gone: give them access by policies, then run "
            f"`aws s3api put-bucket-acl --bucket {facts.name} --acl private`",
            acceptable=False,
        )
    proposal.notes.append("ACLs are turned off: who reads objects by an object's ACL no longer can")


def _judge_encryption(proposal: Proposal, facts: BucketFacts, file: StackFile) -> None:
    default = (facts.encryption or {}).get("ApplyServerSideEncryptionByDefault", {})
    algorithm, key = default.get("SSEAlgorithm", "AES256"), default.get("KMSMasterKeyID")
    configured = file.value("kmsKey")
    if algorithm == "AES256" or (algorithm == "aws:kms" and key is not None and configured == key):
        return
    if algorithm == "aws:kms" and not configured and str(key).startswith("arn:") and ":key/" in str(key):
        proposal.set("kmsKey", key)
        return
    to = f"KMS key {configured}" if configured else "S3's own keys (SSE-S3)"
    proposal.find(
        "encryption",
        f"new objects are encrypted with {algorithm} {key or 'aws/s3'} now, and with {to} then; to keep a key "
        "of yours, give its ARN as recordings:kmsKey",
    )


def _judge_versioning(proposal: Proposal, facts: BucketFacts) -> None:
    if facts.versioning == "Enabled":
        return
    if facts.mfa_delete:
        proposal.find(
            "mfa-delete",
            "versioning is suspended and MFA delete is on: the root user must enable versioning first",
            acceptable=False,
        )
    state = "suspended" if facts.versioning else "off"
    proposal.notes.append(
        f"versioning is {state} and is turned on: replaced and deleted recordings are kept and paid for"
    )


def _judge_log(proposal: Proposal, facts: BucketFacts, file: StackFile) -> None:
    configured, there = file.value("accessLogBucket"), facts.logging
    if not there:
        return
    target, prefix = there.get("TargetBucket"), there.get("TargetPrefix", "")
    ours = prefix == f"{facts.name}/"
    if not configured and not ours:
        proposal.notes.append(
            f"the access log still goes to s3://{target}/{prefix}, which the stack does not look after"
        )
        return
    if not configured:
        proposal.set("accessLogBucket", target)
    proposal.parts.append(Part.ACCESS_LOG)
    if (configured or target) != target or not ours:
        proposal.find(
            "access-log", f"the access log goes to s3://{target}/{prefix} now, to s3://{configured}/{facts.name}/ then"
        )


def shown(statement: Document) -> str:
    """A statement in one line, without its Sid."""
    return json.dumps({key: value for key, value in statement.items() if key != "Sid"}, default=str)


def _meaning(statement: Any) -> Any:
    """What a statement says, in one spelling: no Sid, lists in order, one word as a list, everybody as `*`."""
    plain = {key: value for key, value in statement.items() if key != "Sid"}
    if plain.get("Principal") == {"AWS": "*"}:
        plain["Principal"] = "*"
    return {key: _ordered(value) for key, value in plain.items()}


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    return sorted(str(item).lower() if isinstance(item, bool) else str(item) for item in items)
