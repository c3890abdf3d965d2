"""How a witness stands, in one line."""

from __future__ import annotations

import socket
import ssl

from vitalops.model.failover import Witness
from vitalops.witness.status import WitnessStatus, witness_status


def test_a_pair_without_a_witness_says_so() -> None:
    found = witness_status("france", None, ssl.create_default_context())
    assert found == WitnessStatus("france", "", None)
    assert found.summary == "witness france  none: failing over is a person's to begin"


def test_one_that_does_not_answer_is_part_of_the_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen: refused
        port = taken.getsockname()[1]
        found = witness_status(
            "france", Witness(address="127.0.0.1", port=port), ssl.create_default_context()
        )
    assert found.answers is False
    assert f"no answer from 127.0.0.1:{port}" in found.problem
    assert "does not run" in found.summary


def test_what_it_says_is_the_line() -> None:
    found = WitnessStatus(
        "france", "10.201.0.2:7443", True, mode="automatic", state="healthy", active="fr-par"
    )
    assert found.summary == "witness france  healthy  automatic  fr-par is active"
    lost = WitnessStatus(
        "france", "x", True, mode="approval", state="lost", active="fr-par", said="fr-par is lost"
    )
    assert lost.summary == "witness france  lost  approval  fr-par is lost"
