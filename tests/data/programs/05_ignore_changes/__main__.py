"""Step 2 changes what is ignored and what is not; in step 3 a change of tags replaces a bucket that says so."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
Bucket(
    "partly",
    bucket=f"ignore-partly-{stack}",
    tags={"env": str(step), "team": str(step)},
    opts=pulumi.ResourceOptions(ignore_changes=["tags.env"]),
)
User("wholly", name=f"ignore-{stack}", tags={"env": str(step)}, opts=pulumi.ResourceOptions(ignore_changes=["tags"]))
Bucket("replaced", tags={"era": str(step // 3)}, opts=pulumi.ResourceOptions(replace_on_changes=["tags"]))
