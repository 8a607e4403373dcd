"""Step 2 no longer declares the protected bucket, which is refused; step 3 declares it unprotected."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
User("user", name=f"protect-{stack}")
if step != 2:
    Bucket("bucket", bucket=f"protect-{stack}", opts=pulumi.ResourceOptions(protect=step == 1))
