"""How much quicker `sign_many` is than the official libraries, measured in this process.

Both sides sign the same keys, with a key pair of nobody's; nothing is asked of a provider. On Google the official
library signs by RSA with a service account's key, which is the way that it offers; ours signs with an HMAC key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, Final

from pydantic import SecretStr

from recordings.outputs import KeyStatus, StackOutputs
from recordings.signing import Download
from recordings.stores import Identity, Store, open_store

_HOUR: Final = timedelta(hours=1)
_KEYS: Final = [f"recordings/beam/room-{n}/20260115/Rec-room-{n}-1768471200123.mp4" for n in range(200)]


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`: what was measured, and the figure."""
    ours = _rate(_many(_store("s3")), rounds=20)
    return [
        ("`sign_many` on S3", f"{ours:,.0f} URLs a second"),
        ("`sign_many` on S3 against boto3", f"{s3_ratio(rounds=20):.0f} times as fast"),
        ("`sign_many` on Google against the official library", f"{gcs_ratio(rounds=20):.0f} times as fast"),
    ]


def s3_ratio(*, rounds: int) -> float:
    """Times as fast as boto3's `generate_presigned_url`."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="nobodys",  # noqa: S106 - of no account
        endpoint_url="https://s3.eu-west-1.amazonaws.com",
        config=Config(signature_version="s3v4"),
    )

    def theirs() -> None:
        for key in _KEYS:
            client.generate_presigned_url("get_object", Params={"Bucket": "a-bucket", "Key": key}, ExpiresIn=3600)

    return _ratio(_many(_store("s3")), theirs, rounds)


def gcs_ratio(*, rounds: int) -> float:
    """Times as fast as `Blob.generate_signed_url` of google-cloud-storage."""
    from google.cloud import storage

    bucket = storage.Client(project="nobodys", credentials=_google_credentials()).bucket("a-bucket")

    def theirs() -> None:
        for key in _KEYS[:40]:
            bucket.blob(key).generate_signed_url(version="v4", expiration=_HOUR)

    return _ratio(_many(_store("gcs")), theirs, rounds, theirs_weigh=len(_KEYS) / 40)


def _many(store: Store) -> Callable[[], None]:
    def run() -> None:
        store.sign_many([Download(key) for key in _KEYS], _HOUR)

    return run


def _ratio(ours: Callable[[], None], theirs: Callable[[], None], rounds: int, *, theirs_weigh: float = 1) -> float:
    """Of the fastest rounds, in turn, so that a busy moment of the machine touches both."""
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds + 1)][1:]
    return min(pair[1] for pair in pairs) * theirs_weigh / min(pair[0] for pair in pairs)


def _rate(run: Callable[[], None], *, rounds: int) -> float:
    return len(_KEYS) / min(_seconds(run) for _ in range(rounds))


def _seconds(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _store(provider: str) -> Store:
    key: dict[str, Any] = {"id": "KEYID", "secret": "nobodys", "status": KeyStatus.ACTIVE}
    return open_store(
        StackOutputs.from_mapping(
            {
                "storageProvider": provider,
                "bucketName": "a-bucket",
                "region": "eu-west-1",
                "pathPrefix": "recordings/",
                "writerAccessKeyId": "KEYID",
                "writerSecretAccessKey": "nobodys",
                "readerAccessKeyId": "KEYID",
                "readerSecretAccessKey": "nobodys",
                "writerKeys": {"blue": key},
                "readerKeys": {"blue": key},
                "registeredKey": "blue",
                "writerAccess": "full",
                "environment": "bench",
            }
        ),
        Identity.READER,
    )


@cache
def _google_credentials() -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.oauth2 import service_account

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {
        "type": "service_account",
        "client_email": "nobody@nobodys.iam.gserviceaccount.com",
        "token_uri": "https://localhost/token",
        "private_key": SecretStr(key.decode()).get_secret_value(),
    }
    maker: Any = service_account.Credentials
    return maker.from_service_account_info(json.loads(json.dumps(info)))


if __name__ == "__main__":
    for name, value in figures():
        print(f"{name}: {value}")
