"""Step 2 gives the user another name: user, policy and key are replaced; step 3 gives the policy a name of its own."""

import json

import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
document = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
user = User("user", name=f"replace-{stack}-{min(step, 2)}")
policy = UserPolicy("policy", user=user.name, policy=document, name=f"read-{stack}" if step == 3 else None)
key = AccessKey("key", user=user.name, opts=pulumi.ResourceOptions(depends_on=[policy]))
pulumi.export("user", user.name)
pulumi.export("accessKeyId", key.id)
