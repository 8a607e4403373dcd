"""The sandbox's Google: Cloud Storage (JSON and XML API), IAM, OAuth and Resource Manager on one endpoint.

Reading order: `server` (process) → `app` (routes) → `auth` (`tokens`, `signatures`: who) → `policies` (`roles`,
`conditions`: may they) → `buckets` (`bucket_fields`), `objects_api`, `uploads`, `xml_api` (`xml_multipart`,
`xml_forms`) → `objects`, `blobs`, `state` (what is kept). `accounts`, `hmac_keys`, `projects`, `lifecycle`, `cors`
and `admin` stand beside. `errors` has every form of refusal.
"""
