"""The servers of the sandbox: AWS, 100ms, their certificate authority and the process that keeps them together.

`Sandbox` is the way in for Python, `sandbox.servers.cli` for the command line. Everything listens on the loopback
interface and lives under one folder, so that several sandboxes can run beside each other.
"""

from sandbox.servers.control import Sandbox, ServerStatus
from sandbox.servers.settings import SandboxError

__all__ = ["Sandbox", "SandboxError", "ServerStatus"]
