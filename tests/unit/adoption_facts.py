"""A bucket and users to take over, as facts, and a stack's file to write to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from recordings.adoption.findings import Proposal
from recordings.adoption.proposing import Wish
from recordings.adoption.s3 import propose
from recordings.adoption.stack_file import StackFile
from recordings.adoption.survey import BucketFacts, UserFacts

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
PROJECT = json.dumps({"config": {key: {"default": entry["default"]} for key, entry in SCHEMA.items()}})
"""The project's own defaults, without what is slow to read."""
BUCKET = "acme-old"
REGION = "eu-west-1"


def bucket_facts(**changes: Any) -> BucketFacts:
    """A bucket as AWS makes it today, with nothing set by hand."""
    plain: dict[str, Any] = {
        "name": BUCKET,
        "region": REGION,
        "tags": {},
        "cors": (),
        "lifecycle": (),
        "statements": (),
        "is_public": False,
        "has_block": True,
        "ownership": "BucketOwnerEnforced",
        "grantees": (),
        "encryption": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
        "versioning": None,
        "mfa_delete": False,
        "logging": None,
    }
    return BucketFacts(**(plain | changes))


def user_facts(name: str, **changes: Any) -> UserFacts:
    """A user with nothing but a name."""
    plain: dict[str, Any] = {
        "name": name,
        "path": "/",
        "boundary": None,
        "tags": {},
        "inline": {},
        "attached": (),
        "groups": (),
        "keys": {},
    }
    return UserFacts(**(plain | changes))


@dataclass
class Known:
    """A surveyor that knows everything already."""

    bucket_facts: BucketFacts
    users: Mapping[str, UserFacts] = field(default_factory=dict)

    def account(self) -> str:
        """The login's account."""
        return "111111111111"

    def bucket(self, name: str) -> BucketFacts:
        """The bucket."""
        assert name == self.bucket_facts.name
        return self.bucket_facts

    def user(self, name: str) -> UserFacts:
        """One of the users."""
        return self.users[name]

    def has_user(self, name: str) -> bool:
        """Whether it is one of the users."""
        return name in self.users


def stack_file(folder: Path, **config: Any) -> StackFile:
    """A stack's file with the project's own defaults; a key without a namespace is one of `recordings`."""
    (folder / "Pulumi.yaml").write_text(PROJECT)
    file = folder / "Pulumi.dev.yaml"
    values = {key if ":" in key else f"recordings:{key}": value for key, value in config.items()}
    file.write_text(yaml.safe_dump({"config": values}))
    return StackFile.open(file)


def proposed(folder: Path, bucket: BucketFacts, *users: UserFacts, config: Any = None, **wish: Any) -> Proposal:
    """The proposal for a wish: `user`, `reader_user`, `prefix`, … as of `Wish`."""
    known = Known(bucket, {user.name: user for user in users})
    return propose(Wish("dev", bucket.name, **wish), stack_file(folder, **(config or {})), known)  # type: ignore[arg-type]
