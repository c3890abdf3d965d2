"""Lets a program take changed settings without being restarted.

A restart of Prometheus replays its log and misses scrapes, which every objective would notice. So the container's first
process is a few lines of shell: it starts the program, and sends it SIGHUP when the mounted files have changed. That is
when the kubelet has brought them, up to a minute and a half after the ConfigMap changed, however large it is. Settings
that cannot be used are refused by the program, which goes on with those that it has and says so in its metrics.
"""

from __future__ import annotations

from typing import Final

POLL_SECONDS: Final = 5

# dash; `wait` returns early for a signal that is trapped, hence the second loop. Folders and files that begin with a
# dot are the kubelet's own, through which it swaps all files of a volume at once.
SCRIPT: Final = f"""\
folder=$1; shift
sum() {{ find -L "$folder" -type f ! -path '*/..*' -exec cat {{}} + | cksum; }}
seen=$(sum)
"$@" &
child=$!
while sleep {POLL_SECONDS}; do
  now=$(sum)
  if [ "$now" != "$seen" ]; then seen=$now; kill -HUP "$child"; fi
done &
watcher=$!
trap 'kill -TERM "$child"' TERM INT
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
kill "$watcher" 2>/dev/null
exit "$status"
"""


def reloading(folder: str, *command: str) -> list[str]:
    """`command` as a container's, reloaded when files below `folder` change."""
    return ["/bin/sh", "-c", SCRIPT, "reload", folder, *command]
