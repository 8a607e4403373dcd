"""Drift: what bucket, writer and reader are set to in the cloud against what the stack declares.

Owns the comparison, over facts that `recordings.adoption` reads as the operator. Key and access log of the bucket are
compared in `recordings.doctor.options`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.outputs import PRODUCTION, StackOutputs, StorageProvider
from recordings.policies import bucket_policy, reader_policy, writer_policy
from recordings.policies_gcs import member, reader_bindings, writer_bindings
from recordings.verification.checks import NotRun
from recordings.verification.cors import EXPOSED, METHODS
from recordings.verification.guards import DRIFT

if TYPE_CHECKING:
    from recordings.adoption.gcs_survey import BucketFacts as GcsBucketFacts
    from recordings.adoption.survey import BucketFacts as S3BucketFacts

BUCKET: Final = "settings of the bucket"
RIGHTS: Final = "rights of writer and reader"
_PUBLIC: Final = frozenset({"allUsers", "allAuthenticatedUsers"})

Document = Mapping[str, Any]


def looks(patient: Patient) -> list[Look]:
    """The settings of the bucket, and the rights of both identities."""
    bucket, rights = {
        StorageProvider.S3: (_s3_bucket, _s3_rights),
        StorageProvider.GCS: (_gcs_bucket, _gcs_rights),
    }[patient.outputs.storage_provider]
    return [
        Look("guard", BUCKET, partial(bucket, patient)),
        Look("rights", RIGHTS, partial(rights, patient)),
        Look("cors", "CORS in production", partial(open_origins, patient.outputs)),
    ]


def open_origins(outputs: StackOutputs) -> Iterator[Finding]:
    """Every page of the web may play recordings, where the environment is a production one."""
    title = "CORS in production"
    if "*" in outputs.cors_origins and outputs.environment.lower() in PRODUCTION:
        repair = "pulumi config set --path 'recordings:corsOrigins[0]' https://YOUR.APP && pulumi up"
        yield Finding("cors", title, Severity.WARNING, "corsOrigins is *: any page may play a signed URL", repair)
    else:
        yield fine("cors", title, f"corsOrigins of {outputs.environment}: {', '.join(outputs.cors_origins)}")


def s3_bucket(facts: S3BucketFacts, outputs: StackOutputs) -> Iterator[str]:
    """What of a bucket on S3 is not as declared."""
    declared = bucket_policy(outputs.bucket_name, outputs.region)["Statement"]
    for statement in _lacking(declared, facts.statements):
        yield f"the bucket policy lacks {statement['Sid']}"
    if facts.is_public:
        yield "the bucket policy lets everybody in"
    for statement in _lacking(facts.statements, declared):
        if statement.get("Effect") == "Allow":
            yield f"the bucket policy allows more than the stack: {statement.get('Sid') or 'a statement with no Sid'}"
    if facts.ownership != "BucketOwnerEnforced":
        yield f"object ownership is {facts.ownership or 'not set'}, so that ACLs count"
    rules = [(r.get("AllowedOrigins", ()), r.get("AllowedMethods", ()), r.get("ExposeHeaders", ())) for r in facts.cors]
    yield from cors(rules, outputs.cors_origins)


def gcs_bucket(facts: GcsBucketFacts, outputs: StackOutputs) -> Iterator[str]:
    """What of a bucket on Google is not as declared."""
    if any(_PUBLIC & set(binding.get("members", ())) for binding in facts.bindings):
        yield "the bucket's policy lets everybody in"
    rules = [
        (rule.get("origin", ()), rule.get("method", ()), rule.get("responseHeader", ()))
        for rule in facts.resource.get("cors", ())
    ]
    yield from cors(rules, outputs.cors_origins)


def cors(rules: Iterable[tuple[Sequence[str], ...]], origins: Sequence[str]) -> Iterator[str]:
    """What of the CORS rules (origins, methods, exposed headers) is not as declared."""
    rules = list(rules)
    for origin in origins:
        own = [rule for rule in rules if origin in rule[0] and set(METHODS) <= set(rule[1])]
        if not own:
            yield f"no CORS rule for {origin} with {' and '.join(METHODS)}"
        elif not any({name.lower() for name in EXPOSED} <= {name.lower() for name in rule[2]} for rule in own):
            yield f"the CORS rule for {origin} exposes too few headers"
    for strange in sorted({origin for rule in rules for origin in rule[0]} - set(origins)):
        yield f"a CORS rule for {strange}, which the stack does not declare"


def s3_rights(statements: Iterable[Document], declared: Iterable[Document], who: str) -> Iterator[str]:
    """What an IAM user may do less or more than declared."""
    statements, declared = list(statements), list(declared)
    for statement in _lacking(declared, statements):
        yield f"the {who} lacks {statement['Sid']}"
    for statement in _lacking(statements, declared):
        if statement.get("Effect") == "Allow":
            yield f"the {who} may do more: {statement.get('Sid') or json.dumps(statement.get('Action'))}"


def gcs_rights(bindings: Iterable[Document], declared: Iterable[Document], email: str, who: str) -> Iterator[str]:
    """What a service account has on the bucket less or more than declared."""
    mine = {_role(binding) for binding in bindings if member(email) in binding.get("members", ())}
    wanted = {_role(binding) for binding in declared}
    for role, expression in sorted(wanted - mine):
        yield f"the {who} lacks {role} {'under its condition' if expression else ''}".rstrip()
    for role, expression in sorted(mine - wanted):
        yield f"the {who} has {role} {'under another condition' if expression else 'with no condition'} too"


def _s3_bucket(patient: Patient) -> Iterator[Finding]:
    facts = patient.surveyor.bucket(patient.outputs.bucket_name, options=False)
    yield _drifted("guard", BUCKET, list(s3_bucket(facts, patient.outputs)))


def _gcs_bucket(patient: Patient) -> Iterator[Finding]:
    facts = patient.surveyor.bucket(patient.outputs.bucket_name)
    yield _drifted("guard", BUCKET, list(gcs_bucket(facts, patient.outputs)))


def _s3_rights(patient: Patient) -> Iterator[Finding]:
    outputs = patient.outputs
    place = (outputs.bucket_name, outputs.region, outputs.path_prefix)
    declared = {
        "writer": (outputs.writer_principal, writer_policy(*place, outputs.writer_access, outputs.kms_key)),
        "reader": (outputs.reader_principal, reader_policy(*place, outputs.kms_key, outputs.former_buckets)),
    }
    differences: list[str] = []
    for who, (arn, policy) in declared.items():
        user = patient.surveyor.user(_named(arn, who).rpartition("/")[2])
        statements = [statement for inline in user.inline.values() for statement in inline]
        differences += s3_rights(statements, policy["Statement"], who)
        differences += [f"the {who} has the policy {name} too" for name in user.attached]
        differences += [f"the {who} is in the group {name}" for name in user.groups]
    yield _drifted("rights", RIGHTS, differences)


def _gcs_rights(patient: Patient) -> Iterator[Finding]:
    outputs = patient.outputs
    place, bindings = (outputs.bucket_name, outputs.path_prefix), patient.surveyor.bucket(outputs.bucket_name).bindings
    declared = {
        "writer": (outputs.writer_principal, writer_bindings(*place, outputs.writer_access)),
        "reader": (outputs.reader_principal, reader_bindings(*place)),
    }
    differences: list[str] = []
    for who, (email, wanted) in declared.items():
        differences += gcs_rights(bindings, wanted, _named(email, who), who)
    yield _drifted("rights", RIGHTS, differences)


def _drifted(id_: str, title: str, differences: Sequence[str]) -> Finding:
    if not differences:
        return fine(id_, title, "as declared")
    count = f"{len(differences)} difference{'s' if len(differences) > 1 else ''}"
    return Finding(id_, title, Severity.WARNING, count, DRIFT, tuple(differences))


def _named(principal: str, who: str) -> str:
    if not principal:
        raise NotRun(f"the stack outputs name no {who}Principal", "take the outputs again after `pulumi up`")
    return principal


def _role(binding: Document) -> tuple[str, str]:
    return str(binding.get("role", "")), str((binding.get("condition") or {}).get("expression", ""))


def _lacking(wanted: Iterable[Document], there: Iterable[Document]) -> list[Document]:
    """The statements of `wanted` that say what none of `there` says, whatever their Sid."""
    said = {_meaning(statement) for statement in there}
    return [statement for statement in wanted if _meaning(statement) not in said]


def _meaning(statement: Document) -> str:
    principal = statement.get("Principal")
    parts = {name: value for name, value in statement.items() if name != "Sid"}
    if isinstance(principal, Mapping):
        parts["Principal"] = principal.get("AWS", principal)
    return json.dumps(_plain(parts), sort_keys=True)


def _plain(value: Any) -> Any:
    """Without the differences that IAM does not make: one of a list, or alone; the order of a list."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return sorted(map(str, value if isinstance(value, list | tuple) else [value]))
