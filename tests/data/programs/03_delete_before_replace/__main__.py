"""Step 2 moves the user to another path under the same name, so the original and its key must go first; in step 3 a
policy is told to go before it is replaced, and a second bucket is not."""

import json

import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
document = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
user = User("user", name=f"first-{stack}", path="/" if step == 1 else "/rooms/")
AccessKey("key", user=user.name)
UserPolicy(
    "policy",
    user=user.name,
    name=f"read-{stack}-{step // 3}",
    policy=document,
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)
Bucket("bucket", bucket=f"first-{stack}-{step // 3}")
