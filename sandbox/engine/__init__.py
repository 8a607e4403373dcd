"""The embedded engine: runs a Pulumi Python project against the sandbox alone."""
