"""buildah with a storage of the suite's own, apart from the user's images."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.images.definitions import ImageFacts
from infra.local.images.runner import Runner, ToolFailed

STAGE_PREFIX: Final = "localhost/vitalops-layer"
_POLICY: Final = {"default": [{"type": "insecureAcceptAnything"}]}
"""What buildah may read: it only reads what it made itself. Without the file it refuses to work."""


@dataclass(frozen=True, slots=True)
class Buildah:
    """`root` keeps layers, `run` what a running build needs, `work` temporary files.

    `family` begins the names of the containers that it makes and removes: other families may be building.
    """

    root: Path
    run: Path
    work: Path
    runner: Runner
    driver: str
    family: str
    program: str = "buildah"

    def prepare(self) -> None:
        for folder in (self.root, self.run, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        self._policy.write_text(json.dumps(_POLICY))
        # buildah remembers which network programs it found when the storage was made, and refuses to work without them
        # later; builds here use none.
        (self.root / "defaultNetworkBackend").unlink(missing_ok=True)

    @property
    def _policy(self) -> Path:
        return self.root / "policy.json"

    def _do(self, command: str, *arguments: str) -> str:
        base = [
            self.program,
            "--root",
            str(self.root),
            "--runroot",
            str(self.run),
            "--storage-driver",
            self.driver,
        ]
        signed = ["--signature-policy", str(self._policy)] if command in ("commit", "from", "push") else []
        environment = {"TMPDIR": str(self.work), "BUILDAH_ISOLATION": "chroot"}
        return self.runner.run([*base, command, *signed, *arguments], environment=environment).strip()

    def works(self) -> bool:
        """Whether this storage driver works in this folder."""
        try:
            self._do("images", "--quiet")
        except ToolFailed:
            return False
        return True

    def images(self) -> frozenset[str]:
        """The references of all images in the storage."""
        answer: list[dict[str, Any]] = json.loads(self._do("images", "--json", "--all") or "[]") or []
        names: list[str] = [name for image in answer for name in image.get("names") or ()]
        return frozenset(names)

    def remove_containers(self) -> None:
        """What an interrupted build left."""
        names = self._do("containers", "--noheading", "--format", "{{.ContainerName}}").split()
        left = [name for name in names if name.startswith(f"{self.family}-")]
        if left:
            self._do("rm", *left)

    def remove_images(self, references: Sequence[str]) -> None:
        """Untag these; layers that no other image has go with them."""
        if references:
            self._do("rmi", "--force", *references)

    @contextmanager
    def container(self, parent: str | None) -> Generator[str]:
        name = f"{self.family}-{uuid.uuid4().hex[:12]}"
        self._do("from", "--quiet", "--pull-never", "--name", name, parent or "scratch")
        try:
            yield name
        finally:
            self._do("rm", name)

    @contextmanager
    def mounted(self, reference: str) -> Generator[Path]:
        """The root file system of an image, to look at."""
        with self.container(reference) as container:
            yield Path(self._do("mount", container))

    def add(self, container: str, archive: Path) -> None:
        self._do("add", "--quiet", container, str(archive), "/")

    def execute(self, container: str, *command: str) -> str:
        return self._do("run", "--isolation", "chroot", "--user", "0", container, "--", *command)

    def configure(self, container: str, name: str, facts: ImageFacts) -> None:
        words = ["--user", f"{facts.uid}:{facts.uid}", "--workingdir", facts.working_directory]
        words += [
            "--entrypoint",
            "[]",
            "--cmd",
            json.dumps(list(facts.command)),
            "--stop-signal",
            facts.stop_signal,
        ]
        words += [word for key, value in facts.environment.items() for word in ("--env", f"{key}={value}")]
        words += [word for port in facts.ports for word in ("--port", f"{port}/tcp")]
        labels = {"title": f"vitalops-{name}", "description": facts.summary, "licenses": "Apache-2.0"}
        for key, value in labels.items():
            words += ["--label", f"org.opencontainers.image.{key}={value}"]
        self._do("config", *words, container)

    def commit(self, container: str, reference: str, *, timestamp: int) -> None:
        """Every time in the image becomes `timestamp`, so that the same content has the same digest."""
        self._do("commit", "--quiet", "--omit-history", "--timestamp", str(timestamp), container, reference)

    def export(self, reference: str, layout: Path) -> str:
        """Write the image's blobs into an OCI layout; returns the manifest's digest."""
        digest = self.work / f"{reference.replace('/', '_')}.digest"
        # The layout's own index is not used: several images share its blobs, each with its own record.
        (layout / "index.json").unlink(missing_ok=True)
        self._do("push", "--quiet", "--digestfile", str(digest), reference, f"oci:{layout}")
        return digest.read_text().strip()

    def push(self, reference: str, destination: str, *, verify: bool) -> None:
        self._do(
            "push", "--quiet", f"--tls-verify={str(verify).lower()}", reference, f"docker://{destination}"
        )
