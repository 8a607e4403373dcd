"""Step 2 renames the bucket; step 3 moves bucket and user under a component."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()


class Store(pulumi.ComponentResource):
    """A parent for both."""

    def __init__(self, name: str) -> None:
        super().__init__("programs:index:Store", name)
        self.register_outputs({})


parent = Store("store") if step == 3 else None
former = pulumi.Alias(name="old" if step == 2 else "new", parent=pulumi.ROOT_STACK_RESOURCE)
Bucket(
    "old" if step == 1 else "new",
    bucket=f"aliases-{stack}",
    opts=pulumi.ResourceOptions(parent=parent, aliases=[former] if step > 1 else None),
)
moved = pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)
User("user", name=f"aliases-{stack}", opts=pulumi.ResourceOptions(parent=parent, aliases=[moved] if parent else None))
