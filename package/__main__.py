"""The storage components, served to Pulumi programs in any language.

Owns which components are served, under which name and version. What they take and give is read by Pulumi from their
annotations and docstrings (`components.s3_args`, `components.gcs_args`, the components themselves).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

# Pulumi runs this folder, wherever it fetched the repository to
sys.path.append(str(Path(__file__).resolve().parents[1]))

from pulumi.provider.experimental import component_provider_host

from components.gcs import GcsRecordingStorage
from components.s3 import S3RecordingStorage

VERSION: Final = "0.1.0"

if __name__ == "__main__":
    component_provider_host(
        [S3RecordingStorage, GcsRecordingStorage], name="recordings", namespace="hms-recordings", version=VERSION
    )
