"""A fake 100ms API. See `sandbox.hms.app`."""
