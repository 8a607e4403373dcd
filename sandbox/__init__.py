"""Everything outside, on one machine: AWS, Google, 100ms and a Pulumi engine. See sandbox/README.md."""
