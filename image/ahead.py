"""Runs under the image's own Python while it is built: compiles ahead what `dataclasses` compiles at every start.

The decorator writes a class's methods as text and has it compiled: a quarter of the work of a mate's imports.
Two steps, each a process of its own, so that what the first has loaded cannot show in the bytes of the second:

* ``texts``: imports the modules that stdin names (a JSON list), and prints what was compiled, as a sorted JSON list;
* ``table FILE``: compiles such a list from stdin, and writes what :mod:`clawmates.mate.ahead` reads.
"""

import dataclasses
import hashlib
import json
import marshal
import struct
import sys
from pathlib import Path

OPTIMISE = 2
ROW = struct.Struct("<32sII")


def texts() -> None:
    """Every text once."""
    seen: set[str] = set()

    def noted(text: str, names: dict[str, object], into: dict[str, object]) -> None:
        seen.add(text)
        exec(text, names, into)  # noqa: S102 - as the module does itself

    dataclasses.exec = noted  # type: ignore[attr-defined] # its own name for the built-in one
    for name in json.load(sys.stdin):
        __import__(name)
    json.dump(sorted(seen), sys.stdout)


def table(output: Path) -> None:
    """How many; for each its text's SHA-256, where its code begins behind the rows, and how long it is; the codes."""
    rows, codes = [], b""
    for text in json.load(sys.stdin):
        code = marshal.dumps(compile(text, "<string>", "exec", dont_inherit=True, optimize=OPTIMISE))
        rows.append(ROW.pack(hashlib.sha256(text.encode()).digest(), len(codes), len(code)))
        codes += code
    output.write_bytes(len(rows).to_bytes(4, "little") + b"".join(rows) + codes)


if sys.argv[1:] == ["texts"]:
    texts()
else:
    table(Path(sys.argv[2]))
