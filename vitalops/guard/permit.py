"""Patroni's `pre_promote`: may this database be promoted? `python3 permit.py PORT`.

Exit 0 means yes. Everything else means no: also where the guard does not answer. It waits as long as the guard says to
wait; meanwhile PostgreSQL serves reads. Standard library alone, so that it starts at once.
"""

import http.client
import json
import os
import signal
import sys
import time

PATIENCE = 60.0
"""Seconds without any answer from the guard, after which Patroni may begin anew."""
REPEAT = 10.0


def ask(port: int) -> tuple[str, str]:
    """The guard's leave and its reason. Raises OSError, HTTPException or ValueError where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        connection.request("GET", "/permit")
        answer = json.loads(connection.getresponse().read().decode())
        return str(answer["leave"]), str(answer["reason"])
    except KeyError as error:
        raise ValueError(f"no {error} in the guard's answer") from None
    finally:
        connection.close()


def main(port: int) -> int:
    silent_since, said, said_at = time.monotonic(), "", 0.0
    while True:
        try:
            leave, reason = ask(port)
            silent_since = time.monotonic()
        except (OSError, http.client.HTTPException, ValueError) as error:
            leave, reason = "wait", f"the guard does not answer: {error}"
            if time.monotonic() - silent_since > PATIENCE:
                print(f"promotion refused: {reason}", file=sys.stderr, flush=True)
                return 1
        if leave == "yes":
            return 0
        if leave == "no":
            print(f"promotion refused by the guard: {reason}", file=sys.stderr, flush=True)
            # Patroni keeps a refusal in mind, and would give the next promotion up for it: it is to begin anew.
            os.kill(os.getppid(), signal.SIGTERM)
            return 1
        if reason != said or time.monotonic() - said_at >= REPEAT:
            print(f"promotion waits: {reason}", file=sys.stderr, flush=True)
            said, said_at = reason, time.monotonic()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
