"""Step 2 changes a secret; step 3 makes it plain. One output is secret because the program says so."""

import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
word = f"word-{min(step, 2)}"
team = word if step == 3 else pulumi.Output.secret(word)
bucket = Bucket("bucket", bucket=f"secrets-{stack}", tags={"team": team, "env": "a"})
user = User("user", name=f"secrets-{stack}", opts=pulumi.ResourceOptions(additional_secret_outputs=["uniqueId"]))
key = AccessKey("key", user=user.name)
pulumi.export("team", bucket.tags)
pulumi.export("uniqueId", user.unique_id)
pulumi.export("secretAccessKey", key.secret)
pulumi.export("word", pulumi.Output.secret(word))
