"""Claims on a whole platform in a network of its own: each holds, and a seeded defect turns each red."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)
SCRIPT = Path(__file__).parents[1] / "support" / "claims.py"


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    done = subprocess.run([sys.executable, "-I", str(SCRIPT)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {name: report["claims"][0] for name, report in json.loads(done.stdout).items()}


def test_tls13_holds(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["tls13"]
    assert (claim["status"], claim["evidence"]["found"]) == ("held", [])
    figures = claim["evidence"]["figures"]
    assert figures["hops"] == 8
    assert figures["bad_servers"] == 35
    assert figures["listeners_tls"] == 1
    assert figures["plaintext"] == figures["hits"] == 0
    assert figures["tls13"] >= 8
    spoken = {row[1] for row in claim["evidence"]["tables"][1]["rows"] if row[2] == "TLS 1.3"}
    assert {"api.telegram.org", "api.openai.com", "api.anthropic.com", "vault", "dns.example"} <= spoken


def test_tls13_is_broken_by_a_listener_a_leak_and_a_rash_client(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["tls13 with defects"]
    assert claim["status"] == "broken"
    found = "\n".join(claim["evidence"]["found"])
    assert "gateway helper, 127.0.0.1:" in found
    assert "a connection to 11.9.9.9:80 is: not TLS" in found
    assert "packets: what was said, as hex-lower" in found
    assert "the client spoke to a server that is «expired»" in found


def test_vault_holds(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["vault"]
    assert (claim["status"], claim["evidence"]["found"]) == ("held", [])
    figures = claim["evidence"]["figures"]
    assert figures["hits"] == 0
    assert figures["credentials_searched"] >= 4
    assert figures["records"] >= 5
    assert figures["mutations"] >= 3
    assert figures["route_refusals"] > 50
    assert figures["destroyed_records"] == 3
    assert figures["bytes_searched"] > 1 << 20


def test_vault_is_broken_by_one_kept_credential_which_is_not_shown(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["vault with defects"]
    assert claim["status"] == "broken"
    assert any("state folder" in found and "a credential as hex-lower" in found for found in claim["evidence"]["found"])


def test_self_host_holds(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["self-host"]
    assert (claim["status"], claim["evidence"]["found"]) == ("held", [])
    figures = claim["evidence"]["figures"]
    assert figures["destinations_everybody"] == figures["allowed_everybody"] == 5
    assert figures["destinations_alone"] == figures["allowed_alone"] == figures["names_looked_up_alone"] == 0
    assert figures["replies_alone"] == 2


def test_self_host_is_broken_by_one_more_destination(reports: dict[str, dict[str, Any]]) -> None:
    claim = reports["self-host with defects"]
    assert claim["status"] == "broken"
    found = claim["evidence"]["found"]
    assert len([one for one in found if "bytes went to an address that nobody named" in one]) == 2
