"""Step 1 exports two outputs; step 2 fails after the first of them; step 3 exports the first alone."""

import pulumi
from pulumi_aws.iam.user import User

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
user = User("user", name=f"broken-{stack}")
pulumi.export("step", step)
if step == 2:
    raise pulumi.RunError("the configuration is wrong")
if step == 1:
    pulumi.export("arn", user.arn)
