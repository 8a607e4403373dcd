"""What the recordings in the bucket are: how many, how large, how long, what they cost, and what goes next."""
