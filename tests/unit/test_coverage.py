"""What decides is tested to the last branch: policy, parser, envelope, tickets; a line of them without a test is red.

The tests of these modules run once more in a process of their own, under coverage, and alone: what another test happens
to pass through does not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = {
    "gateway": "addresses bandwidth bucket chats decision handover hello quota records routes target turns",
    "node": "backoff gate reconcile",
    "vault": "catalogue envelope identity intake leases sessions tickets",
}
WHOLE = {f"src/clawmates/{room}/{module}.py" for room, modules in PURE.items() for module in modules.split()}
CONTROL = "src/clawmates/vault/wipe.py"
"""The weak control: nobody tests it here, so it must not look whole."""
TESTS = (
    *(
        f"tests/unit/gateway/test_{name}.py"
        for name in ("addresses", "bandwidth", "handover", "hello", "target", "turns")
    ),
    *(f"tests/unit/node/test_{name}.py" for name in ("gate", "reconcile", "succession")),
    "tests/unit/gateway/test_ingress.py::TestRoute",
    *(
        f"tests/unit/vault/test_{name}.py"
        for name in ("catalogue", "envelope", "identity", "kin", "leases", "sessions", "store", "tickets")
    ),
)
SLOW = ("bytes_in_any_file", "without_forgetting")
"""They cover nothing that the others do not."""
WRITTEN = "not hypothesis"
"""What is drawn by chance passes through everything sooner or later: every branch has an example of its own."""
SETTINGS = """
[run]
branch = True
include = {modules}
[report]
exclude_also =
    if TYPE_CHECKING:
    case _:
    assert_never
    def __repr__
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By module: which lines and branches no test reached."""
    folder = tmp_path_factory.mktemp("coverage")
    settings, data, report = folder / "settings", folder / "data", folder / "report.json"
    settings.write_text(SETTINGS.format(modules=",".join(sorted({*WHOLE, CONTROL}))))
    coverage = (sys.executable, "-m", "coverage")
    common = (f"--rcfile={settings}", f"--data-file={data}")
    chosen = ("-m", WRITTEN, "-k", " and ".join(f"not {name}" for name in SLOW))
    selected = (*TESTS, "-q", "-p", "no:cacheprovider", *chosen)
    ran = subprocess.run(
        [*coverage, "run", *common, "-m", "pytest", *selected], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    subprocess.run([*coverage, "json", *common, "-q", "-o", str(report)], cwd=ROOT, check=True)
    files = json.loads(report.read_text())["files"]
    return {
        name: f"lines {found['missing_lines']}, branches {found['missing_branches']}"
        if found["summary"]["percent_covered"] < 100
        else ""
        for name, found in files.items()
    }


@pytest.mark.parametrize("module", sorted(WHOLE))
def test_every_branch_is_taken(seen: dict[str, str], module: str) -> None:
    assert seen[module] == ""


def test_what_nobody_tests_does_not_look_whole(seen: dict[str, str]) -> None:
    assert "lines [" in seen[CONTROL]
