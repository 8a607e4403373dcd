"""Step 2 drops a bucket that stays; step 3 replaces another whose original stays. Two resources name themselves."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
keep = pulumi.ResourceOptions(retain_on_delete=True)
if step == 1:
    Bucket("dropped", bucket=f"retain-dropped-{stack}", opts=keep)
Bucket("replaced", bucket=f"retain-{stack}-{step // 3}", opts=keep)
Bucket("itself", force_destroy=step > 1)
User("itself", tags={"step": str(step)})
