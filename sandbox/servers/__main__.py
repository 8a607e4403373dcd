"""`python -m sandbox.servers` runs a supervisor; `sandbox.servers.control` starts it so."""

from sandbox.servers.supervisor import main

main()
