"""Moving what is still in 100ms' own storage into the stack's bucket, before 100ms deletes it.

`moves` finds what there is to do, `mover` does it with a bounded number of parts in flight, `queue` has it done by any
number of machines. Below: `wire` (connections), `source` (presigned URLs of 100ms), `copying` (one
recording), `record` (what a killed run leaves behind for the next).
"""
