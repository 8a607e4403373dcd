"""Clients that know nothing of the sandbox: Google's own with default credentials, rclone; and a stop and start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.servers import Sandbox
from tests.functional.google_lab import Lab
from tests.functional.test_sandbox_servers import held

PROGRAM = """
import os
from google.cloud import storage

client = storage.Client(client_options={"api_endpoint": os.environ["GOOGLE_ENDPOINT_URL"]})
bucket = client.create_bucket("lab-default-credentials")
bucket.blob("x").upload_from_string("content")
print(client.project, bucket.blob("x").download_as_text())
bucket.delete(force=True)
"""
NOWHERE = "http://127.0.0.1:9"


def environment(sandbox: Sandbox) -> dict[str, str]:
    """What `sandbox env` prints and nothing else; whatever is not on this machine goes to a port that nobody has."""
    wanted = {"PATH": os.environ["PATH"], "HOME": str(sandbox.dir), **sandbox.env}
    return {**wanted, "HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}


def test_googles_client_works_with_default_credentials(sandbox: Sandbox, lab: Lab) -> None:
    """The exported variables are all that the official client needs, beside the endpoint."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(sandbox), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"{lab.project} content\n"), done.stderr


def test_rclone_copies_checks_and_purges(sandbox: Sandbox, lab: Lab, tmp_path: Path) -> None:
    """rclone's Google back end: small and resumable uploads, odd names, comparison byte by byte, purge."""
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent))
    if rclone is None:
        pytest.skip("not run: there is no rclone for this platform")
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "ä b+c.txt").write_bytes(b"small")
    (source / "film").write_bytes(os.urandom(17 * 1024 * 1024))
    bucket = lab.bucket()
    env = {
        **environment(sandbox),
        "RCLONE_CONFIG": str(tmp_path / "none"),
        "RCLONE_CA_CERT": sandbox.env["SSL_CERT_FILE"],
        "RCLONE_CONFIG_G_TYPE": "google cloud storage",
        "RCLONE_CONFIG_G_SERVICE_ACCOUNT_FILE": sandbox.env["GOOGLE_APPLICATION_CREDENTIALS"],
        "RCLONE_CONFIG_G_BUCKET_POLICY_ONLY": "true",
        "RCLONE_CONFIG_G_ENDPOINT": sandbox.env["GOOGLE_STORAGE_CUSTOM_ENDPOINT"],
    }

    def run(*arguments: str) -> str:
        command = [rclone, *arguments, "--retries", "1", "--low-level-retries", "1"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("copy", str(source), f"g:{bucket}/p")
    assert sorted(run("lsf", "-R", f"g:{bucket}").split("\n"))[1:] == [
        "p/",
        "p/film",
        "p/folder/",
        "p/folder/ä b+c.txt",
    ]
    run("check", "--download", str(source), f"g:{bucket}/p")
    run("purge", f"g:{bucket}")
    assert lab.operator.get(f"/storage/v1/b/{bucket}").status_code == 404


def test_state_survives_a_stop_and_start(tmp_path: Path) -> None:
    """Buckets, policies, objects, keys, unfinished uploads, project and address are as they were."""
    sandbox = Sandbox(tmp_path / "sandbox")
    with sandbox:
        lab = Lab(sandbox)
        bucket = lab.bucket(versioning={"enabled": True})
        _, key = lab.writer(bucket)
        s3 = lab.s3(key)
        s3.put_object(Bucket=bucket, Key="p/x", Body=b"content")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="p/parts")["UploadId"]
        tag = s3.upload_part(Bucket=bucket, Key="p/parts", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
        before = (lab.url, lab.project, lab.operator.get(f"/storage/v1/b/{bucket}").json())
        lab.close()
    with held(*sandbox.settings.ports.values()), sandbox:
        lab = Lab(sandbox)
        assert before == (lab.url, lab.project, lab.operator.get(f"/storage/v1/b/{bucket}").json())
        s3 = lab.s3(key)
        assert s3.get_object(Bucket=bucket, Key="p/x")["Body"].read() == b"content"
        parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        s3.complete_multipart_upload(Bucket=bucket, Key="p/parts", UploadId=upload, MultipartUpload=parts)  # type: ignore[arg-type]
        assert s3.get_object(Bucket=bucket, Key="p/parts")["Body"].read() == b"part"
        files = list((sandbox.dir / "data" / "google" / "blobs").iterdir())
        assert len(files) == 2
        lab.close()
    credentials = Path(sandbox.env["GOOGLE_APPLICATION_CREDENTIALS"])
    assert credentials.stat().st_mode & 0o777 == 0o600
