"""Own your 100ms recordings: what runs after the deployment, as a library and as the command `recordings`."""
