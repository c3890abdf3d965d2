"""What backups are declared as: keys in Secrets alone, the other region's server, and nothing that stops writes."""

from __future__ import annotations

import base64
import configparser
import json
from collections.abc import Callable
from typing import Any

from infra.components import backup, objects, patroni, scratch
from infra.components.args import RegionArgs
from infra.components.database import CREDENTIALS, stateful_set
from infra.components.namespaces import mebibytes, quota
from vitalops import conventions as c
from vitalops.ports.backups import RestoreTarget, TargetKind

Region = Callable[[str], RegionArgs]
TARGET = RestoreTarget(TargetKind.NAME, "drill")


def configuration(args: RegionArgs) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(backup.repository(args))
    return found


def secrets_of(args: RegionArgs) -> tuple[str, ...]:
    keys = args.secrets.backup
    return (keys.own, keys.held, keys.passphrase, keys.server.key, args.secrets.database.superuser)


def test_the_repository_is_in_the_other_region_encrypted_and_verified(region: Region) -> None:
    for name, peer in (("fr-par", "fr-gra"), ("fr-gra", "fr-par")):
        args = region(name)
        told = configuration(args)["global"]
        assert told["repo1-s3-endpoint"] == args.peer_address != args.node_address
        assert told["repo1-s3-region"] == peer
        assert told["repo1-s3-bucket"] == name
        assert told["repo1-cipher-type"] == "aes-256-cbc"
        assert told["repo1-storage-verify-tls"] == "y"
        assert told["repo1-retention-full"] == str(args.platform.backups.keep_full)
        assert name in configuration(args)


def test_the_key_of_one_region_opens_the_server_of_the_other(region: Region) -> None:
    source, holder = region("fr-par"), region("fr-gra")
    assert configuration(source)["global"]["repo1-s3-key-secret"] == holder.secrets.backup.held
    environment = objects.stateful_set(holder)["spec"]["template"]["spec"]["containers"][0]["env"]
    name = next(each["value"] for each in environment if each["name"] == "ROOT_ACCESS_KEY_ID")
    assert configuration(source)["global"]["repo1-s3-key"] == name
    held = next(made for made in objects.objects_objects(holder) if made["metadata"]["name"] == "objects-key")
    assert base64.b64decode(held["data"]["secret"]).decode() == source.secrets.backup.own


def test_keys_are_in_secrets_alone(region: Region) -> None:
    args = region("fr-par")
    made = [
        stateful_set(args),
        *objects.objects_objects(args),
        objects.stateful_set(args),
        *scratch.scratch_objects("run", args, "fr-gra", "image", TARGET),
    ]
    shown = json.dumps([each for each in made if each["kind"] != "Secret"])
    for value in secrets_of(args):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown


def test_archiving_that_fails_fills_a_part_of_the_volume_and_no_more(region: Region) -> None:
    args = region("fr-par")
    limit = configuration(args)["global"]["archive-push-queue-max"]
    assert limit == "512MiB"
    assert mebibytes(args.platform.database.storage) // 4 == backup.queue_mebibytes(args)


def test_only_a_primary_archives(region: Region) -> None:
    for name in ("fr-par", "fr-gra"):
        settings = patroni.configuration(region(name), "peer")["postgresql"]["parameters"]
        assert settings["archive_mode"] == "on"
        assert f"--stanza={name} archive-push %p" in settings["archive_command"]


def test_a_backup_that_fails_does_not_make_the_database_unready(region: Region) -> None:
    made = backup.sidecar(region("fr-par"), CREDENTIALS)
    assert {
        made[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    } == {"/metrics"}


def test_a_copy_reaches_the_repository_and_is_reached_by_nothing(region: Region) -> None:
    fence, keys, pod = scratch.scratch_objects("restore-drill-x", region("fr-par"), "fr-gra", "image", TARGET)
    assert {made["metadata"]["namespace"] for made in (fence, keys, pod)} == {"vitalops-restore-x"}
    assert fence["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in fence["spec"]
    ports = {port["port"] for rule in fence["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, c.NODE_PORT_OBJECTS, c.OBJECTS_PORT}
    container: dict[str, Any] = pod["spec"]["containers"][0]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    names = {each["name"] for each in container["env"]}
    assert "PGPASSWORD" not in names
    namespace = scratch.scratch_namespace("restore-drill-x", region("fr-par"), "fr-gra")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert len(scratch.namespace_name("x" * 100)) <= 63


def test_the_quota_of_backups_has_room_for_the_server(region: Region) -> None:
    args = region("fr-par")
    hard = quota(c.NAMESPACE_BACKUPS, args)["spec"]["hard"]
    assert mebibytes(hard["limits.memory"]) >= 2 * mebibytes(args.platform.backups.resources.memory)
