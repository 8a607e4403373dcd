"""Stand-in resource providers: what the embedded engine and a real CLI call instead of the official plugins.

`load("aws")` gives one. A package's module is imported when it is first asked for, since each imports its cloud's
client library.
"""

from __future__ import annotations

import importlib
from typing import Final

from sandbox.providers.base import Provider, ProviderError

PACKAGES: Final = ("aws", "gcp")
"""Packages that have a stand-in; `sandbox.providers.<package>` offers `provider()`."""


def load(package: str) -> Provider:
    """A new, unconfigured provider of the package. Raises ProviderError that names the legal packages."""
    if package not in PACKAGES:
        raise ProviderError(
            f"there is no stand-in provider {package!r}; legal: {', '.join(PACKAGES)}. "
            "Use the real `pulumi` for resources of other packages."
        )
    provider: Provider = importlib.import_module(f"sandbox.providers.{package}").provider()
    return provider
