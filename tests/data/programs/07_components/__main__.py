"""Step 2 adds a child to the inner component; step 3 drops the outer one's sibling."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.provider import Provider
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_versioning import BucketVersioning

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()


class Inner(pulumi.ComponentResource):
    """A bucket, and from step 2 its versioning."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("programs:index:Inner", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = Bucket(f"{name}-bucket", bucket=f"{name}-{stack}", opts=child)
        if step > 1:
            settings = {"status": "Enabled"}
            BucketVersioning(f"{name}-v", bucket=self.bucket.bucket, versioning_configuration=settings, opts=child)
        self.register_outputs({"bucket": self.bucket.bucket})


class Outer(pulumi.ComponentResource):
    """An inner component and a user."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("programs:index:Outer", name, None, opts)
        self.inner = Inner(f"{name}-inner", pulumi.ResourceOptions(parent=self))
        self.user = User(f"{name}-user", name=f"{name}-{stack}", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


east = Provider("east", region="us-east-1")
kept = Outer("kept", pulumi.ResourceOptions(providers={"aws": east}))
if step < 3:
    Outer("dropped")
pulumi.export("arn", kept.inner.bucket.arn)
