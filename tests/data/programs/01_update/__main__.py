"""Step 1 makes a bucket, its CORS and a user; step 2 changes tags and CORS in place; step 3 drops CORS and the user."""

import pulumi
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_cors_configuration import BucketCorsConfiguration

step, stack = pulumi.Config().require_int("step"), pulumi.get_stack()
bucket = Bucket("bucket", bucket=f"update-{stack}", tags={"env": "a"} if step == 1 else {"env": "b", "team": "video"})
if step < 3:
    origins = ["https://a.example"] if step == 1 else ["https://b.example", "https://a.example"]
    rule = {"allowed_methods": ["GET", "HEAD"], "allowed_origins": origins, "max_age_seconds": 60 * step}
    BucketCorsConfiguration("cors", bucket=bucket.bucket, cors_rules=[rule])
    User("user", name=f"update-{stack}")
pulumi.export("bucket", bucket.bucket)
pulumi.export("arn", bucket.arn)
