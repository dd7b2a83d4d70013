from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clawmates.proofs.fake import Child
from clawmates.proofs.writes import Baseline, WritesUnreadableError, write_bytes

if TYPE_CHECKING:
    from pathlib import Path


async def test_only_what_comes_on_top_of_the_start_counts(tmp_path: Path) -> None:
    child = await Child.start()
    try:
        await child.write(str(tmp_path / "set-up"), bytes(20_000))
        baseline = Baseline(child.pid, write_bytes(child.pid))
        assert baseline.start >= 20_000
        assert baseline.growth() == 0
        await child.write(str(tmp_path / "more"), bytes(4096))
        assert baseline.growth() >= 4096
    finally:
        await child.kill()
    with pytest.raises(WritesUnreadableError):
        baseline.growth()


def test_a_kernel_that_does_not_count_is_no_proof(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "io").write_text("rchar: 1\ncancelled_write_bytes: 0\n")
    with pytest.raises(WritesUnreadableError):
        write_bytes(7, tmp_path)
