"""What was compiled ahead is what would have been compiled: the same methods, and for anything else the usual way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[3] / "image" / "ahead.py"
SHAPES = """
from dataclasses import dataclass, field

@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    near: list = field(default_factory=list, compare=False)
"""
PROGRAM = """
import dataclasses, sys
from clawmates.mate import ahead
compiled = []
def noted(code, names, into):
    compiled.append(isinstance(code, str))
    exec(code, names, into)
ahead.exec = noted
ahead.take(sys.argv[1])
import shapes
one = shapes.Point(1)
print(one, one == shapes.Point(1, near=[3]), one == shapes.Point(1, 3), hash(one) == hash(shapes.Point(1)))
try:
    one.x = 2
except dataclasses.FrozenInstanceError as error:
    print(error)
print(compiled.count(True), compiled.count(False) > 0)
ahead.drop()
dataclasses.make_dataclass("Late", ["a"])(1)
print(vars(dataclasses).get("exec"))
"""
SAME = ["Point(x=1, y=2, near=[]) True False True", "cannot assign to field 'x'"]


def python(folder: Path, *words: str, given: str = "") -> str:
    """What a Python prints that finds the modules of a folder, and ours."""
    path = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    program, *arguments = words
    run = Path(program).read_text() if program.endswith(".py") else program
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", path + f"exec({run!r})", *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_methods_compiled_ahead_are_the_same_and_others_are_compiled_as_ever(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(SHAPES)
    texts = python(tmp_path, str(IMAGE), "texts", given=json.dumps(["shapes"]))
    tables = [tmp_path / name for name in ("whole", "again", "poor")]
    for table, given in zip(tables, (texts, texts, json.dumps(json.loads(texts)[1:])), strict=True):
        python(tmp_path, str(IMAGE), "table", str(table), given=given)
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert python(tmp_path, PROGRAM, str(tables[0])).splitlines() == [*SAME, "0 True", "None"]
    assert python(tmp_path, PROGRAM, str(tables[2])).splitlines() == [*SAME, "1 True", "None"]
    plain = python(tmp_path, PROGRAM, str(tmp_path / "none")).splitlines()
    assert plain == [*SAME, "0 False", "None"], "where there is no table, the usual way is not even asked"
