"""What no walk through folders finds: files without a name, attributes, the kernel's log."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from clawmates.base.clock import SystemClock
from clawmates.proofs.held import KernelLog, Unnamed
from clawmates.proofs.look import Findings, look
from clawmates.proofs.mounts import writable
from clawmates.proofs.places import Folder, Kind, Place, Survey
from clawmates.proofs.search import Patterns

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.proofs.canary import Canary

NOBODY = 1 << 30


async def found_in(place: Place, canary: Canary) -> Findings:
    return await look([place], Patterns.of(canary), clock=SystemClock())


async def test_a_deleted_file_that_somebody_holds_open_is_found(tmp_path: Path, canary: Canary) -> None:
    with tempfile.TemporaryFile(dir=tmp_path, buffering=0) as kept:
        kept.write(b"x" * 5000 + canary.mark.encode())
        assert (await found_in(Folder(Kind.TEMP, tmp_path), canary)).count == 0
        (hit,) = (await found_in(Unnamed({"vault": os.getpid()}), canary)).hits
        # The one who has it open goes on writing where it was.
        assert kept.tell() == 5000 + len(canary.mark.encode())
    assert (hit.kind, hit.encoding, hit.offset) == (Kind.UNNAMED, "raw", 5000)
    assert hit.place == f"descriptor {kept_number(hit.place)} of vault (process {os.getpid()})"


def kept_number(place: str) -> int:
    return int(place.split()[1])


async def test_a_file_in_memory_is_found_once_whoever_holds_it(canary: Canary) -> None:
    held = os.memfd_create("spool")
    again = os.dup(held)
    try:
        os.write(held, canary.mark.encode())
        findings = await found_in(Unnamed({"vault": os.getpid(), "gateway": os.getpid()}), canary)
    finally:
        os.close(held)
        os.close(again)
    assert findings.count == 1


async def test_files_with_a_name_and_processes_that_are_gone_are_none_of_it(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_text(canary.mark)
    with (tmp_path / "file").open():
        findings = await found_in(Unnamed({"vault": os.getpid(), "node": NOBODY}), canary)
    assert findings.count == 0


def test_descriptors_that_may_not_be_looked_at_are_said(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "fd").write_text("no folder")
    survey = Survey()
    assert list(Unnamed({"vault": 7}, tmp_path).targets(survey)) == []
    assert dict(survey.skipped) == {"open files without a name (Not a directory)": 1}


async def test_the_kernels_log_is_searched_or_said_not_to_be_there(tmp_path: Path, canary: Canary) -> None:
    log = tmp_path / "kmsg"
    absent = await found_in(KernelLog(log), canary)
    assert absent.not_looked_at == ("kernel's log: not shown here: 1",)
    log.write_text(f"6,1,1,-;a driver said {canary.stem}\n")
    (hit,) = (await found_in(KernelLog(log), canary)).hits
    assert (hit.kind, hit.place) == (Kind.KERNEL, "the kernel's log")


async def test_an_attribute_of_a_file_is_found(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_text("nothing")
    try:
        os.setxattr(tmp_path / "file", "user.note", canary.mark.encode())
    except OSError:
        pytest.skip("this file system keeps no attributes")
    (hit,) = (await found_in(Folder(Kind.STATE, tmp_path), canary)).hits
    assert (hit.place, hit.encoding) == (f"an attribute of {tmp_path / 'file'}", "raw")


def test_writable_mounts_are_those_that_keep_bytes() -> None:
    points = writable(os.getpid())
    assert "/proc" not in points
    with closing(tempfile.TemporaryFile()) as here:
        assert here.writable()
    # Whatever this test writes to lies below one of them.
    assert any(tempfile.gettempdir().startswith(point) for point in points)
