"""The configuration of a test stack: accepted by the project's own rules, and nothing of the stack that stays in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import parse_settings
from recordings.errors import ConfigurationError
from recordings.passing_stacks import bucket_name, configuration
from sandbox.engine.config import _text as as_pulumi_hands_it_over

ROOT = Path(__file__).parents[2]
END = datetime(2099, 1, 31, 12, tzinfo=UTC)
TEMPLATE = "64f0c0ffee0123456789abcd"


@pytest.mark.parametrize("like", ["dev", "dev-gcs", "staging", "prod"])
def test_shipped_stacks_give_valid_test_stacks(like: str) -> None:
    """After each of them: a test stack with an end, its own bucket and names, one template; the settings take it."""
    source = yaml.safe_load((ROOT / f"Pulumi.{like}.yaml").read_text())["config"]
    made = configuration(source, "pr-7", TEMPLATE, END)
    own = {key.partition(":")[2]: as_pulumi_hands_it_over(value) for key, value in made.items() if "recordings:" in key}
    region = next(value for key, value in made.items() if key.endswith(":region"))
    settings = parse_settings(own, stack="pr-7", region=region)
    assert settings.expires_at == "2099-01-31T12:00:00Z"
    assert (settings.force_destroy, settings.protect, settings.environment) == (True, False, "test")
    assert settings.template_ids == (TEMPLATE,)
    assert settings.bucket_name == f"{source['recordings:bucketName']}-pr-7"
    assert settings.writer_name is not None
    assert "pr-7" in settings.writer_name


def test_names_keys_and_secrets_are_not_carried_over() -> None:
    """What is the other stack's own stays there; a further secret is refused, as it could not be decrypted."""
    external = {"principal": "p", "secretAccessKey": {"secure": "v1:x"}}
    source = {"recordings:bucketName": "b", "recordings:writerName": "w", "recordings:writerExternal": external}
    made = configuration(source, "pr-7", TEMPLATE, END)
    assert not {"recordings:writerName", "recordings:writerExternal"} & set(made)
    with pytest.raises(ConfigurationError, match="recordings:tags"):
        configuration({**source, "recordings:tags": {"a": {"secure": "v1:x"}}}, "pr-7", TEMPLATE, END)


@pytest.mark.parametrize("source", [{}, {"recordings:bucketName": ""}, {"recordings:bucketName": 7}])
def test_stack_without_a_bucket_name_is_refused(source: dict[str, Any]) -> None:
    """There is nothing to name a bucket after."""
    with pytest.raises(ConfigurationError, match="bucketName"):
        configuration(source, "pr-7", TEMPLATE, END)


def test_bucket_name_fits_both_providers() -> None:
    """Cut where it is too long, never in the stack's own name, never ending in a separator."""
    assert bucket_name("acme", "pr-7") == "acme-pr-7"
    long = bucket_name("a" * 57 + "." * 6, "pr-1234")
    assert len(long) <= 63
    assert long.endswith("a-pr-1234")
