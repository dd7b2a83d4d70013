"""Runs under the image's own Python while it is built: compiles modules to code without sources.

Reads JSON ``[[source path, path to say in tracebacks, output path], …]`` on stdin. The optimisation level is the
one the container runs with: no asserts, no docstrings (4 MiB less than compiling at start).

Dataclasses get a docstring of one character all the same. Without any, the decorator writes one at every start by
asking `inspect` for the signature of each class: that is most of the time of importing them, and a MiB for `inspect`.
"""

import ast
import importlib.util
import json
import marshal
import sys
from pathlib import Path

OPTIMISE = 2
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""PEP 552: the header names no file's time and nobody looks for the source."""
NO_DOCUMENT = ast.parse("__doc__ = '-'").body[0]


def is_dataclass(decorator: ast.expr) -> bool:
    """Whether it is written ``dataclass``, ``dataclass(…)``, or behind a module's name."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name == "dataclass"


def documented(source: bytes, said: str) -> ast.Module:
    """The module, its dataclasses with a docstring that no optimisation takes away."""
    module = ast.parse(source, said)
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and any(map(is_dataclass, node.decorator_list)):
            node.body.insert(1 if ast.get_docstring(node) else 0, ast.copy_location(NO_DOCUMENT, node))
    return ast.fix_missing_locations(module)


for source_path, said, output in json.load(sys.stdin):
    source = Path(source_path).read_bytes()
    code = compile(documented(source, said), said, "exec", dont_inherit=True, optimize=OPTIMISE)
    header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source)
    Path(output).write_bytes(header + marshal.dumps(code))
