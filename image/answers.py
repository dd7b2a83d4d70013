"""How ``image/build`` answers: sentences, or JSON alone on stdout; exit codes as DESIGN.md defines them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from clawmates.base.shape import encode
from image.rebuild import Verdict

if TYPE_CHECKING:
    from image.built import Built, Places
    from image.rebuild import Comparison

MIB = 1 << 20


def report(built: Built, public: str, places: Places, *, as_json: bool) -> None:
    """What was built, and who signed it."""
    image = built.image
    data = {
        "digest": image.digest,
        "config": image.config,
        "size_mib": round(image.size / MIB, 1),
        "packages": list(built.packages),
        "unpinned": list(image.unpinned),
        "sbom": {"file": built.sbom.file, "digest": built.sbom.digest},
        "public_key": public,
        "directory": str(places.out),
    }
    if as_json:
        print(json.dumps({"ok": True, "data": data}))  # noqa: T201 - the command's answer
        return
    pinned = f"NOT PINNED: {', '.join(image.unpinned)}" if image.unpinned else "all pinned"
    lines = [
        f"image       {image.digest}",
        f"size        {data['size_mib']} MiB",
        f"packages    {len(built.packages)}, {pinned}",
        *(f"            {package}" for package in built.packages),
        f"made of     {built.sbom.file} {built.sbom.digest}",
        f"signed by   {public}",
        f"release     {places.out}",
    ]
    print("\n".join(lines))  # noqa: T201 - the command's answer


def compared(found: Comparison, *, as_json: bool) -> int:
    """Says what a second build gave: 0 the same, 1 something else, 4 what cannot be compared here and now."""
    if found.verdict is Verdict.SAME:
        text = f"this release  {found.here}\nrebuilt       {found.rebuilt}\n{found.verdict.value}"
        print(json.dumps({"ok": True, "data": encode(found)}) if as_json else text)  # noqa: T201 - the command's answer
        return 0
    lost = found.verdict is Verdict.OUT_OF_REACH
    said = [f"{found.verdict.value}: this release is {found.here}, rebuilt {found.rebuilt}"]
    said += [f"differs: {name}" for name in found.differences]
    said += [f"other version: {name}" for name in found.unpinned]
    if lost:
        said.append("remedy: name an archive of older Debian packages with DEBIAN_MIRROR")
    return failed("out-of-reach" if lost else "different", "\n".join(said), 4 if lost else 1, as_json=as_json)


def failed(code: str, message: str, status: int, *, as_json: bool) -> int:
    """What went wrong; returns the exit code it was given."""
    if as_json:
        remedy = message.partition("remedy: ")[2]
        print(json.dumps({"ok": False, "error": {"code": code, "message": message, "remedy": remedy}}))  # noqa: T201 - the answer
    sys.stderr.write(f"image/build: {message}\n")
    return status
