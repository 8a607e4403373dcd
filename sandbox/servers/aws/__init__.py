"""AWS in the sandbox: ministack, and in front of it and inside it what makes it refuse what the real AWS refuses.

`gateway` is the layer in front (connections, credentials, regions), `strict` are the rules that need ministack's own
decision first, `lifecycle` and `sweep` are S3 Lifecycle, `emulator` is the one module that knows ministack.
"""
