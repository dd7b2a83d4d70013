"""Coverage-guided fuzzing of the hello parser: ``python tests/fuzz/hello.py --seconds N``.

Needs atheris, which is a tool of development and no part of what anybody runs. The seeds are real hellos, so that
mutation begins behind the first checks; what reached new lines is kept beside them for the next run. A finding lies in
``--findings``, and the exit code is not 0.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore] # not everywhere installed

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["clawmates.gateway"]):
    from tests.fuzz.properties import Oracle, examine, identity, real_hellos

MOST = 80_000


def main() -> int:
    """Runs libFuzzer for so long; it ends the process itself when something is found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))
    wanted = parser.parse_args()
    corpus = wanted.findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="clawmates-fuzz-") as name:
        identity(Path(name))
        seeds, oracle = real_hellos(Path(name)), Oracle(Path(name))
    for number, (kind, flight) in enumerate(seeds):
        for piece in (0, 4, 255):
            (corpus / f"{number}-{piece}").write_bytes(bytes([kind, piece]) + flight)
    line = [sys.argv[0], str(corpus), f"-max_total_time={wanted.seconds}", f"-max_len={MOST}", "-timeout=10"]
    line += [f"-artifact_prefix={wanted.findings}{os.sep}", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup(line, lambda data: examine(oracle, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
