"""The last good release, kept by node: what it goes back to, and what it does not try again."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.node.gate import Refused
from clawmates.wire.releases import RELEASE_FILE, SIGNATURE_FILE, ReleaseError, load

if TYPE_CHECKING:
    from clawmates.wire.release import Release

REFUSED_FILE = "refused.json"


@dataclass(frozen=True, slots=True)
class GoodRelease:
    """A folder like the release's own; believed under the same pinned key and no other."""

    path: Path
    public_key: str

    def read(self) -> Release | None:
        """The release that was good last, if it is there and signed."""
        with suppress(ReleaseError):
            return load(self.path, self.public_key)
        return None

    def keep(self, folder: Path, release: Release) -> None:
        """Takes ``release`` over from ``folder``, if it still lies there. Raises ``OSError``."""
        with suppress(ReleaseError):
            if load(folder, self.public_key) != release:
                return
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _link(folder / release.image.archive, self.path / release.image.archive)
            for name in (SIGNATURE_FILE, RELEASE_FILE):
                write_atomic(self.path / name, (folder / name).read_bytes())

    def refused(self) -> Refused | None:
        """What did not come to life."""
        with suppress(OSError, ShapeError):
            return decode_json(Refused, (self.path / REFUSED_FILE).read_bytes())
        return None

    def remember(self, refused: Refused | None) -> None:
        """Raises ``OSError``."""
        if refused is None:
            (self.path / REFUSED_FILE).unlink(missing_ok=True)
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self.path / REFUSED_FILE, encode_json(refused))


def _link(source: Path, target: Path) -> None:
    """A hard link, so that the image is there once; a copy where the file system has none."""
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source, fresh)
    except OSError:
        shutil.copyfile(source, fresh)
    fresh.rename(target)
