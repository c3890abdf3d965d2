from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.unit.vitalops.model.conftest import TODAY, Text
from vitalops.errors import SpecErrors, UsageError
from vitalops.model.failover import Replication
from vitalops.model.loader import load_platform, load_platform_with_warnings
from vitalops.model.source import MAXIMUM_BYTES


def test_the_bundled_platform_is_sound_and_needs_no_attention(root: Path) -> None:
    loaded = load_platform_with_warnings(root / "platform.yaml", TODAY)
    platform = loaded.platform
    assert loaded.warnings == ()
    assert list(platform.regions) == ["fr-par", "fr-gra", "ch-gva", "ch-zrh"]
    assert platform.pairs["france"].primary == "fr-par"
    assert platform.pairs["france"].start_by_default
    assert not platform.pairs["switzerland"].start_by_default
    assert platform.pairs["france"].replication is Replication.SYNCHRONOUS
    assert platform.services["records"].name == "records"
    assert platform.regions["ch-gva"].certifications[1].expires == date(2028, 5, 31)


@pytest.mark.parametrize(
    ("old", "new", "at", "pointer", "problem", "hint"),
    [
        ("    jurisdiction: FR\n", "", "fr-par:", "/regions/fr-par/jurisdiction", "missing", "capitals"),
        ("layer: system", "layre: system", "layre", "/services/identity/layre", "unknown key", "'layer'"),
        ("layer: system", "layer: sytem", "sytem", "/services/identity/layer", "'sytem'", "'system'"),
        ("rto_seconds: 60", "rto_seconds: soon", "soon", "/pairs/france/rto_seconds", "'soon'", "above 0"),
        (
            "rto_seconds: 60",
            'rto_seconds: "60"',
            '"60"',
            "/pairs/france/rto_seconds",
            "text",
            "without quotes",
        ),
        ("port: 8443", "port: 84430", "84430", "/pairs/france/edge/port", "84430", "from 1 to 65535"),
        ("cpu: 200m", "cpu: 1", "cpu: 1,", "/database/resources/cpu", "number", 'write "1" in quotes'),
        ("memory: 512Mi", "memory: 512MB", "512MB", "/database/resources/memory", "512MB", "512Mi or 2Gi"),
        ("cluster: local", "cluster: loacl", "loacl", "/regions/fr-par/cluster", "'loacl'", "'local'"),
        (
            "cluster: local",
            "cluster: {context: kind}",
            "kind",
            "/regions/fr-par/cluster/gateway_address",
            "missing",
            "add `gateway_address`",
        ),
        ("kind: latency", "kind: latncy", "latncy", "/slis/prompt/kind", "latncy", "'latency'"),
        (
            "expires: 2028-05-31",
            "expires: 2028-02-30",
            "02-30",
            "/regions/fr-par/certifications/0/expires",
            "",
            "date",
        ),
        ("  records:", "  Records_:", "Records_", "/services/Records_", "cannot be a name", "lower-case"),
        (
            "uses_media: true",
            "uses_media: yes",
            "yes",
            "/services/consultation/uses_media",
            "'yes'",
            "true or false",
        ),
        (
            "    layer: system\n",
            "    layer: system\n    name: x\n",
            "name: x",
            "/services/identity/name",
            "name",
            "",
        ),
        ("gateway:\n", "gateway: 3\nx:\n", "gateway: 3", "/gateway", "3", "mapping"),
    ],
)
def test_a_fault_says_where_what_and_what_instead(
    bundled: Text, old: str, new: str, at: str, pointer: str, problem: str, hint: str
) -> None:
    edited = bundled.edit(old, new)
    fault = next(fault for fault in edited.faults() if fault.pointer == pointer)
    assert problem in fault.problem
    assert hint in fault.hint
    assert fault.line == edited.line(at)
    assert fault.file == "platform.yaml"


def test_all_faults_are_reported_at_once_in_the_order_of_lines(bundled: Text) -> None:
    edited = (
        bundled.edit("jurisdiction: FR", "jurisdiction: fr")
        .edit("standby: fr-gra", "standby: fr-gar")
        .edit("storage: 2Gi", "storage: lots")
        .edit(
            "depends_on: [identity, consent, notification, audit]", "depends_on: [identity, consnet, audit]"
        )
        .edit("{answered: 0.999,", "{answered: 99.9,")
    )
    faults = edited.faults()
    assert [fault.line for fault in faults] == sorted(fault.line for fault in faults)
    assert {
        "/regions/fr-par/jurisdiction",
        "/pairs/france/standby",
        "/database/storage",
        "/services/records/depends_on/1",
        "/tiers/critical/objectives/answered",
    } <= {fault.pointer for fault in faults}


def test_names_are_checked_also_inside_parts_that_have_other_faults(bundled: Text) -> None:
    edited = bundled.edit("    layer: system\n", "").edit("depends_on: [audit]", "depends_on: [adit]")
    assert {fault.pointer for fault in edited.faults()} == {
        "/services/identity/layer",
        "/services/identity/depends_on/0",
    }


def test_a_missing_region_certificate_and_a_syntax_slip_elsewhere_are_both_reported(bundled: Text) -> None:
    edited = bundled.edit(
        "{scheme: GDPR, certificate: EXAMPLE-DPIA-PAR, expires: 2028-05-31}", "{scheme: GDPR}"
    )
    pointers = {fault.pointer for fault in edited.edit("port: 8443", "port: 0").faults()}
    assert "/regions/fr-par/certifications/2/certificate" in pointers
    assert "/pairs/france/edge/port" in pointers


@pytest.mark.parametrize("content", ["- a\n- b\n", "just text\n", "3\n"])
def test_a_file_that_is_no_mapping_is_one_fault(text: Callable[[str], Text], content: str) -> None:
    assert "not a mapping" in text(content).fault().problem


def test_an_unreadable_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_platform(tmp_path / "absent.yaml", TODAY)
    with pytest.raises(UsageError, match="directory"):
        load_platform(tmp_path, TODAY)


def test_an_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    with pytest.raises(UsageError, match="larger"):
        load_platform(file, TODAY)


def test_faults_name_the_file_as_the_user_did(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: x\n")
    with pytest.raises(SpecErrors) as caught:
        load_platform(file, TODAY)
    assert {fault.file for fault in caught.value.faults} == {str(file)}
    assert str(caught.value).count("\n") == len(caught.value.faults) - 1


def test_what_expires_within_thirty_days_is_a_warning(bundled: Text) -> None:
    loaded = bundled.load(date(2028, 5, 1))
    assert len(loaded.warnings) == 10
    assert "expires in 30 days" in loaded.warnings[0].problem
    assert loaded.warnings[0].line == bundled.line("EXAMPLE-HDS-PAR")
    assert bundled.load(date(2028, 4, 30)).warnings == ()


def test_a_region_that_nothing_uses_and_images_that_nobody_gets_are_warnings(bundled: Text) -> None:
    alone = bundled.edit(
        "  ch-gva:", "  de-fra:\n    jurisdiction: DE\n    cluster: local\n    certifications: []\n  ch-gva:"
    )
    assert [warning.pointer for warning in alone.load().warnings] == ["/regions/de-fra"]
    remote = bundled.edit("cluster: local", "cluster: {context: par, gateway_address: 192.0.2.1}")
    assert [warning.pointer for warning in remote.load().warnings] == ["/regions/fr-par/cluster"]
    named = Text(remote.content + "images: {registry: registry.example.org/vitalops}\n")
    assert named.load().warnings == ()
