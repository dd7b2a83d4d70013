from __future__ import annotations

from pathlib import Path

import pytest

from clawmates.base import files
from clawmates.base.files import keep


def test_what_is_there_already_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings"
    keep(path, b"one", mode=0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o640)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_atomic", full)
    keep(path, b"one", mode=0o640)
    for data, mode in ((b"two", 0o640), (b"one", 0o600)):
        with pytest.raises(OSError, match="No space"):
            keep(path, data, mode=mode)
    assert path.read_bytes() == b"one"
