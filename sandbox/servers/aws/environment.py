"""What AWS' clients need in their environment to reach one sandbox, and nothing else.

Owns setting every variable and file that could send a client elsewhere, for the user's own may: a profile, an endpoint
for one service, a session. Source: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sandbox.servers.settings import Settings

CLIENT_FILE: Final = Path(__file__).with_name("client.ini")
SERVICES: Final = ("S3", "IAM", "STS", "KMS")
"""An endpoint for one of these would win over that for all."""


def aws_environment(settings: Settings, url: str, bundle: str) -> dict[str, str]:
    """The environment of a client of the sandbox at `url`; `bundle` is the file of certificates that it trusts."""
    return {
        "AWS_ENDPOINT_URL": url,
        **{f"AWS_ENDPOINT_URL_{service}": url for service in SERVICES},
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_CA_BUNDLE": bundle,
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.aws_secret_access_key,
        "AWS_SESSION_TOKEN": "",
        "AWS_PROFILE": "default",
        "AWS_CONFIG_FILE": str(CLIENT_FILE),
        "AWS_SHARED_CREDENTIALS_FILE": str(CLIENT_FILE),
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BOTO_DISABLE_CRT": "true",  # one way of signing and a quick start, also where awscrt is installed
    }
