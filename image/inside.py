"""Runs under the image's own Python while it is built: compiles modules to code without sources.

Reads JSON ``[[source path, path to say in tracebacks, output path], …]`` on stdin. The optimisation level is the
one the container runs with: no asserts, no docstrings (4 MiB less than compiling at start).
"""

import importlib.util
import json
import marshal
import sys
from pathlib import Path

OPTIMISE = 2
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""PEP 552: the header names no file's time and nobody looks for the source."""

for source_path, said, output in json.load(sys.stdin):
    source = Path(source_path).read_bytes()
    code = compile(source, said, "exec", dont_inherit=True, optimize=OPTIMISE)
    header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source)
    Path(output).write_bytes(header + marshal.dumps(code))
