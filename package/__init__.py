"""The Pulumi package: this folder is what `pulumi package add` is given."""
