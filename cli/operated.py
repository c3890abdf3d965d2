"""The platform as it runs, connected to when something of it is asked for: how runs stand can be told without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cli.setting import setting_of
from vitalops.paths import Paths
from vitalops.ports.clock import SystemClock
from vitalops.secretstore import FileSecretStore

if TYPE_CHECKING:
    from vitalops.model.platform import Platform
    from vitalops.ports.running import RunningPlatform


class _OnDemand:
    def __init__(self, platform: Platform, paths: Paths) -> None:
        self.platform = platform
        self.clock = SystemClock()
        self.secrets = FileSecretStore(paths.secrets(platform.name))
        self._paths = paths
        self._operated: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._operated is None:
            from infra.operations.running import OperatedPlatform

            setting = setting_of(self.platform, self._paths, tuple(self.platform.regions))
            self._operated = OperatedPlatform(setting, self.clock)
        return getattr(self._operated, name)


def operated(platform: Platform, paths: Paths) -> RunningPlatform:
    """`infra.operations.running.OperatedPlatform`, imported with the first region that is reached for."""
    return cast("RunningPlatform", _OnDemand(platform, paths))
