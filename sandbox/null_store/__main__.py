"""One of the two servers: `python -m sandbox.null_store source|sink [CERTIFICATE]`; prints its port.

Source: `/<size>/<name>` is an object of that many bytes, whole or in ranges, the same for all who ask; beside them a
100ms workspace that names such objects (`sandbox.null_store.api`). Sink: whatever is put is dropped, and answered as S3
does; of an object only its length is kept.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
from pathlib import Path
from typing import Final

from sandbox.null_store import api
from sandbox.null_store.wire import Request, Wire, serve

PATTERN: Final = 8 << 20
"""Bytes after which an object's content repeats: small enough to stay in memory, not in a processor's cache."""
_XML: Final = {"Content-Type": "application/xml"}
_NAMESPACE: Final = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_TIME: Final = "Sat, 01 Aug 2026 00:00:00 GMT"
_ETAG: Final = '"0123456789abcdef0123456789abcdef"'


class Source:
    """Objects of any size, out of one file in memory."""

    def __init__(self) -> None:
        self._bytes = os.urandom(PATTERN)
        self._file = os.memfd_create("source")
        os.write(self._file, self._bytes)

    def __call__(self, wire: Wire, request: Request) -> None:
        """Answer GET and HEAD of `/<size>/<name>`, with and without one range, and what is asked of 100ms."""
        if request.target.startswith(api.PREFIX):
            api.answer(wire, request)
            return
        size = int(request.target.split("/")[1])
        first, last, status = 0, size - 1, "200 OK"
        headers = {"ETag": _ETAG, "Accept-Ranges": "bytes", "Content-Type": "video/mp4"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            first, last, status = int(match[1]), min(int(match[2] or last), last), "206 Partial Content"
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        wire.answer(status, headers, length=last - first + 1)
        if request.method == "GET":
            self._send(wire, first, last + 1)

    def _send(self, wire: Wire, at: int, end: int) -> None:
        view = memoryview(self._bytes)
        while at < end:
            begin = at % PATTERN
            count = min(end - at, PATTERN - begin)
            if wire.plain:
                at += os.sendfile(wire.socket.fileno(), self._file, begin, count)
            else:
                wire.socket.sendall(view[begin : begin + count])
                at += count


class Sink:
    """An S3 that keeps nothing but how long each object was: clients look after they have put."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def __call__(self, wire: Wire, request: Request) -> None:
        """Answer as S3 does to who uploads and looks."""
        path, _, query = request.target.partition("?")
        wire.drop_body(request)
        named = dict(part.partition("=")[::2] for part in query.split("&"))
        if request.method == "PUT":
            part = named.get("uploadId", "") + named.get("partNumber", "")
            self._sizes[path + part] = int(request.headers.get("x-amz-decoded-content-length", request.length))
            wire.answer("200 OK", {"ETag": _ETAG})
        elif request.method == "POST" and "uploads" in named:
            body = f"<InitiateMultipartUploadResult {_NAMESPACE}><UploadId>U</UploadId></InitiateMultipartUploadResult>"
            wire.answer("200 OK", _XML, body.encode())
        elif request.method == "POST":
            parts = [key for key in self._sizes if key.startswith(f"{path}U")]
            self._sizes[path] = sum(self._sizes.pop(key) for key in parts)
            body = f"<CompleteMultipartUploadResult {_NAMESPACE}><ETag>{_ETAG}</ETag></CompleteMultipartUploadResult>"
            wire.answer("200 OK", _XML, body.encode())
        elif request.method == "HEAD" and path in self._sizes:
            wire.answer("200 OK", {"ETag": _ETAG, "Last-Modified": _TIME}, length=self._sizes[path])
        elif request.method == "DELETE":
            self._sizes.pop(path, None)
            wire.answer("204 No Content", {})
        else:
            body = "" if request.method == "HEAD" else "<Error><Code>NoSuchKey</Code></Error>"
            wire.answer("404 Not Found", _XML, body.encode())


def main(kind: str, certificate: str | None = None) -> None:
    """Serve on a free port of the loopback interface until the process is ended."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(Path(certificate))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, context, Source() if kind == "source" else Sink())


if __name__ == "__main__":
    main(*sys.argv[1:])
