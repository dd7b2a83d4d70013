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
