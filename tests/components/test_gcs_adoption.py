"""On Google, what exists is imported under its own id and nothing else is."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from tests.components.deploying import PROJECT, as_text, run_main, stack_config
from tests.components.test_adoption import imports
from tests.components.test_gcs_component import BUCKET, EXTERNAL, deployed

EVERY = {
    ("bucket", "recordings-bucket"): BUCKET,
    ("account", "recordings-writer"): (
        f"projects/{PROJECT}/serviceAccounts/hms-uploader@{PROJECT}.iam.gserviceaccount.com"
    ),
    ("account", "recordings-reader"): (
        f"projects/{PROJECT}/serviceAccounts/hms-rec-reader-dev-gcs@{PROJECT}.iam.gserviceaccount.com"
    ),
}


@pytest.fixture(autouse=True)
def _in_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment names one."""
    monkeypatch.setenv("GOOGLE_PROJECT", PROJECT)


def test_bucket_and_accounts_are_imported_by_their_ids() -> None:
    """Bindings and keys are made."""
    assert imports(deployed(adopt=["bucket", "writer", "reader"], writerName="hms-uploader")) == EVERY


def test_nothing_is_imported_unless_named() -> None:
    """Without the key there is no import, and all else is the same: it may go after the first deployment."""
    without, with_it = deployed(), deployed(adopt=["bucket", "reader"])
    assert imports(without) == {}
    assert {name for _, name in imports(with_it)} == {"recordings-bucket", "recordings-reader"}
    assert {key: resource.inputs for key, resource in without.resources.items()} == {
        key: resource.inputs for key, resource in with_it.resources.items()
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"adopt": ["bucket", "cors"]}, "can't hold cors on Google"),
        ({"adopt": ["writer"], "writerExternal": EXTERNAL}, "beside writerExternal"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], said: str) -> None:
    """Before anything is declared, naming what is legal."""
    with pytest.raises(pulumi.RunError, match="cannot be used") as caught:
        deployed(**values)
    assert said in str(caught.value)


def test_account_needs_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one an account has no id to be imported by, and the message says what to set."""
    for name in ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    config = stack_config("dev-gcs") | {"recordings:adopt": as_text(["writer"])}
    with pytest.raises(pulumi.RunError, match="gcp:project"):
        run_main(config, stack="dev-gcs")
