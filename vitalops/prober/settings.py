"""What a prober in a pod is told: environment variables and two files, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vitalops.conventions import PROBER_METRICS_PORT
from vitalops.errors import UsageError
from vitalops.prober.probe import Target
from vitalops.prober.variables import CA_FILE, INTERVAL, REGION, SECRET_FILE, URL, VIA


@dataclass(frozen=True, slots=True)
class ProberSettings:
    target: Target
    interval: float
    """Seconds from the start of one walk to the start of the next."""
    region: str
    metrics_port: int = PROBER_METRICS_PORT

    @staticmethod
    def from_environment(variables: Mapping[str, str]) -> ProberSettings:
        """Raises UsageError naming the variable that is missing or the file that cannot be read."""

        def given(name: str) -> str:
            value = variables.get(name, "")
            if not value:
                raise UsageError(f"{name} is not set", hint="the prober's Deployment sets it")
            return value

        secret_file = Path(given(SECRET_FILE))
        try:
            secret = secret_file.read_text().strip()
        except OSError as error:
            raise UsageError(f"{secret_file} cannot be read: {error.strerror}") from None
        try:
            interval = float(given(INTERVAL))
        except ValueError:
            raise UsageError(f"{INTERVAL} is {variables[INTERVAL]!r}, not a number of seconds") from None
        target = Target(given(URL), Path(given(CA_FILE)), secret, via=variables.get(VIA, ""))
        return ProberSettings(target, interval, given(REGION))
