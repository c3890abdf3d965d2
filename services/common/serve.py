"""`python -m services.common.serve NAME`: run one service until SIGTERM.

On the first SIGTERM readiness turns 503 at once, while requests are still taken for `drain_seconds` (so that
proxies notice first); then no more are accepted, those in flight finish within `grace_seconds`, and the
process ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

import uvicorn

from services.common.app import create_app
from services.common.context import Lifecycle
from services.common.definition import load_definition
from services.common.logs import configure_logging, get_logger
from services.common.settings import SettingsError, load_settings

log = get_logger("services.serve")


class DrainingServer(uvicorn.Server):
    """A uvicorn server that stops wanting traffic before it stops taking it."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain, then exit. A second one, or an interrupt at the terminal: exit now."""
        if self._lifecycle.draining or sig == signal.SIGINT or self._drain_seconds <= 0:
            self._lifecycle.drain()
            super().handle_exit(sig, frame)
            return
        self._lifecycle.drain()
        timer = threading.Timer(self._drain_seconds, self._finish)
        timer.daemon = True
        timer.start()

    def _finish(self) -> None:
        self.should_exit = True


def main(arguments: list[str]) -> int:
    """Serve the named service; 2 when the call or the environment is wrong."""
    if len(arguments) != 1:
        print("usage: python -m services.common.serve NAME", file=sys.stderr)
        return 2
    try:
        definition = load_definition(arguments[0])
        settings = load_settings(os.environ, service=arguments[0])
        configure_logging(settings.service, settings.region)
        app = create_app(definition, settings)
    except (LookupError, SettingsError) as error:
        print(f"serve: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # The gateway strips the prefix; uvicorn puts it back for links and the OpenAPI document.
        root_path=f"/{settings.service}",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=settings.grace_seconds,
        timeout_keep_alive=65,
        limit_concurrency=200,
        proxy_headers=False,
    )
    server = DrainingServer(config, app.state.context.lifecycle, settings.drain_seconds)
    server.run()
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
