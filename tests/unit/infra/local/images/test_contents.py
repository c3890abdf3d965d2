from __future__ import annotations

import tarfile
from pathlib import Path

from infra.local.images.contents import ContentMaker, bootstrap_command
from infra.local.images.definitions import SUITE, USERS, Wheels
from infra.local.images.inputs import MachineInputs
from tests.unit.infra.local.images.conftest import FakeTools


def test_the_bootstrap_makes_the_images_users_before_any_package_can() -> None:
    command = bootstrap_command(("haproxy", "python3"), Path("/work/root.tar"), "http://mirror/debian")
    assert command[0] == "mmdebstrap"
    assert command[-3:] == [SUITE, "/work/root.tar", "http://mirror/debian"]
    assert "--include=haproxy,python3" in command
    # Nothing after the target: then mmdebstrap adds the security updates by itself.
    assert bootstrap_command(("python3",), Path("/work/root.tar"), None)[-2:] == [SUITE, "/work/root.tar"]
    (hook,) = [word for word in command if word.startswith("--essential-hook=")]
    for name, (uid, home) in USERS.items():
        assert f"echo {name}:x:{uid}:{uid}::{home}:/usr/sbin/nologin >> $1/etc/passwd" in hook


def test_wheels_are_installed_for_the_images_python_with_their_hashes(
    tmp_path: Path, tools: FakeTools
) -> None:
    (tmp_path / "uv.lock").write_text("")
    maker = ContentMaker(MachineInputs(project=tmp_path, runner=tools), tools, tmp_path)
    maker.wheels("database", Wheels("database", from_source=("ydiff",)))
    (install,) = tools.named("uv", "install")
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(install)
    assert install[install.index("--python-version") + 1] == "3.13"
    assert install[install.index("--no-binary") + 1] == "ydiff"


def test_only_named_commands_are_kept_and_run_by_the_images_python(tmp_path: Path, tools: FakeTools) -> None:
    (tmp_path / "uv.lock").write_text("")
    maker = ContentMaker(MachineInputs(project=tmp_path, runner=tools), tools, tmp_path)
    with tarfile.open(maker.wheels("database", Wheels("database", scripts=("patronictl",)))) as archive:
        names = {name for name in archive.getnames() if name.startswith("opt/site-packages/")}
        script = archive.extractfile("opt/site-packages/bin/patronictl")
        assert script is not None
        assert script.read() == b"#!/usr/bin/env python3\nrun()\n"
    assert names == {
        "opt/site-packages/module.py",
        "opt/site-packages/bin",
        "opt/site-packages/bin/patronictl",
    }
