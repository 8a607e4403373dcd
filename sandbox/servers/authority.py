"""The sandbox's own certificate authority (`trustme`), and the one certificate that its servers share."""

from __future__ import annotations

import ssl

from sandbox.servers.files import Layout, write_private


def ensure_certificates(layout: Layout) -> None:
    """Make authority and server certificate unless they are there. The authority's key is not kept: it signs once."""
    if layout.authority.exists() and layout.server_certificate.exists():
        return
    import trustme  # only a sandbox's first start pays for it

    authority = trustme.CA(organization_name="recordings sandbox")
    server = authority.issue_cert("127.0.0.1", "localhost")
    write_private(layout.server_certificate, server.private_key_and_cert_chain_pem.bytes())
    write_private(layout.authority, authority.cert_pem.bytes())


def server_context(layout: Layout) -> ssl.SSLContext:
    """TLS as the servers speak it: 1.2 or newer, HTTP/1.1 alone, as S3 does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(layout.server_certificate)
    context.set_alpn_protocols(["http/1.1"])
    return context
