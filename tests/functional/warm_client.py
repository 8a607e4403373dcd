"""`python warm_client.py SOCKET ARGUMENTS…` is `python ARGUMENTS…`, carried out by the process behind SOCKET (`warm`).

Hands over arguments, folder, environment and its three files, and ends as the command ends, by a signal too. Of the
standard library alone, and little of that: it is started in place of something slow.
"""

import json
import os
import socket
import sys


def main() -> int:
    """The command's exit code."""
    order = json.dumps({"argv": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        socket.send_fds(server, [len(order).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(order)
        ended = server.recv(8)
    if not ended:
        print("the warm Python is gone", file=sys.stderr)
        return 70
    code = int(ended)
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
