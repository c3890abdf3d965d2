"""An operation's request to the guard, from a command in its pod: `python3 relay.py PORT NAME SECONDS < JSON`.

Prints the answer; exits 1 where that is an error, 3 where the guard does not answer. Standard library alone.
"""

import http.client
import json
import sys


def main(port: int, name: str, seconds: float) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        # One line: the stream of a command in a pod need not end.
        connection.request("POST", f"/{name}", sys.stdin.readline().encode() or b"{}")
        response = connection.getresponse()
        print(response.read().decode(), flush=True)
    except (OSError, http.client.HTTPException) as error:
        print(json.dumps({"error": f"the guard does not answer: {error}", "kind": "RemoteError", "hint": ""}))
        return 3
    return 0 if response.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
