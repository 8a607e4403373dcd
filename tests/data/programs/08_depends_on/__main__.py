"""The user waits for a bucket and for a whole component; step 2 adds a link, step 3 takes all of them away."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()


class Pair(pulumi.ComponentResource):
    """Two buckets."""

    def __init__(self, name: str) -> None:
        super().__init__("programs:index:Pair", name)
        for side in ("left", "right"):
            Bucket(f"{name}-{side}", bucket=f"depends-{side}-{stack}", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


pair = Pair("pair")
first = Bucket("first", bucket=f"depends-first-{stack}")
second = Bucket("second", bucket=f"depends-second-{stack}")
waits: list[pulumi.Resource] = {1: [first, pair], 2: [first, pair, second], 3: []}[step]
User("user", name=f"depends-{stack}", opts=pulumi.ResourceOptions(depends_on=waits))
