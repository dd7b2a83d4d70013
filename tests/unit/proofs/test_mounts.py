from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.clock import SystemClock
from clawmates.base.paths import Run, State
from clawmates.proofs.claims.no_storage import BLIND, no_storage
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.look import look
from clawmates.proofs.mounts import Beneath, beneath, mounts
from clawmates.proofs.places import Disk, Folder, Kind, Survey
from clawmates.proofs.result import Status
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import RAW_LIMIT, Host, searched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.trial import Bench, Options

LINE = r"36 35 98:0 /root /mnt/a\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue"


def test_a_line_of_mountinfo_is_understood() -> None:
    (mount,) = mounts(LINE + "\n")
    assert (mount.point, mount.kind, mount.source) == ("/mnt/a b", "ext3", "/dev/root")
    assert mount.device == os.makedev(98, 0)


def test_a_folder_in_ram_has_no_device_and_says_so() -> None:
    found = beneath(Path("/dev/shm"))
    assert found.path is None
    assert "RAM" in found.reason


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()


@asynccontextmanager
async def mounted(tmp_path: Path) -> AsyncIterator[Path]:
    """A file system of its own on a loop device; needs root, as the platform does."""
    image, point = tmp_path / "image", tmp_path / "disk"
    point.mkdir()
    with image.open("wb") as out:
        out.truncate(64 << 20)
    await _run("mkfs.ext4", "-q", str(image))
    await _run("mount", "-o", "loop", str(image), str(point))
    try:
        yield point
    finally:
        await _run("umount", str(point))


async def test_a_file_deleted_from_a_mounted_disk_is_found_on_its_image(
    tmp_path: Path, canary: Canary, host: Host
) -> None:
    async with mounted(tmp_path) as disk:
        found = beneath(disk)
        assert (found.path, found.image) == (tmp_path / "image", True)
        state, run = State(disk / "state"), Run(tmp_path / "run")
        state.engine.mkdir(parents=True)
        leak = state.root / "leak"
        leak.write_text(canary.mark)
        os.sync()
        leak.unlink()
        os.sync()
        where = searched(state, run, processes={}, mates={}, host=host)
        devices = [place for place in where.places if isinstance(place, Disk) and place.kind is Kind.DEVICE]
        folders = [place for place in where.places if isinstance(place, Folder)]
        raw = await look(devices, Patterns.of(canary), clock=SystemClock())
        files = await look(folders, Patterns.of(canary), clock=SystemClock())
    assert len(devices) == 1, "state and engine lie on one device"
    assert {hit.kind for hit in raw.hits} == {Kind.DEVICE}
    assert files.count == 0
    assert raw.rows[0].size < 64 << 20, "the image's holes are passed over"


async def test_a_loop_device_can_be_read_itself(tmp_path: Path, canary: Canary) -> None:
    async with mounted(tmp_path) as disk:
        device = next(mount.source for mount in mounts() if mount.point == str(disk))
        place = Disk(Kind.DEVICE, Path(device), device)
        before = await look([place], Patterns.of(canary), clock=SystemClock())
        # What the kernel cached of the device just now must not hide what is written through the file system.
        (disk / "leak").write_text(canary.mark)
        os.sync()
        after = await look([place], Patterns.of(canary), clock=SystemClock())
    assert (before.count, before.not_looked_at) == (0, ())
    assert {(hit.place, hit.encoding) for hit in after.hits} == {(device, "raw")}


async def test_the_claim_is_tried_down_to_the_disk(
    tmp_path: Path, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def forget(platform: FakePlatform, message: str) -> None:
        """Writes what was said to the disk and removes it: no file shows it any more."""
        leak = platform.state.root / "leak"
        leak.write_text(message)
        os.sync()
        leak.unlink()

    async with mounted(tmp_path) as disk:
        state = State(disk / "state")
        state.engine.mkdir(parents=True)
        async with FakePlatform(state, run_folder) as platform:
            clean = await no_storage(platform, options, bench)
        async with FakePlatform(state, run_folder, on_message=forget) as platform:
            leaking = await no_storage(platform, options, bench)
    assert clean.status is Status.HELD
    assert "raw device" in {row[0] for row in clean.evidence.table}
    assert BLIND not in clean.evidence.not_looked_at
    assert leaking.status is Status.BROKEN
    assert {found.partition(":")[0] for found in leaking.evidence.found} == {"raw device"}


async def test_a_device_that_does_not_show_what_is_on_it_proves_nothing(
    tmp_path: Path, state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An encrypted disk looks like this: the raw bytes are there and say nothing.
    (tmp_path / "encrypted").write_bytes(os.urandom(1 << 16))
    disk = Beneath("/dev/dark", tmp_path / "encrypted", 1 << 16)
    monkeypatch.setattr("clawmates.proofs.searched.beneath", lambda _folder: disk)
    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, options, bench)
    assert BLIND in result.evidence.not_looked_at


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 0 0:50 / / rw - overlay overlay rw", "the file system (overlay) does not show its device"),
        ("1 0 0:50 / / rw - btrfs /dev/gone rw", "/dev/gone: No such file or directory"),
    ],
)
def test_a_file_system_without_a_device_number_says_so(
    line: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(monkeypatch, tmp_path, os.makedev(0, 50), line)
    found = beneath(tmp_path)
    assert (found.path, found.reason) == (None, reason)


def _pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int, line: str) -> None:
    """Makes ``folder`` look as if it lay on a device of that number, mounted as ``line`` says."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        result = real(path, follow_symlinks=follow_symlinks)
        return os.stat_result((*result[:2], number, *result[3:10])) if path == folder else result

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr("clawmates.proofs.mounts.mounts", lambda: mounts(line))


def _sysfs(tmp_path: Path, number: int, sectors: int) -> tuple[Path, Path]:
    block = tmp_path / "sys" / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    block.mkdir(parents=True)
    (block / "uevent").write_text("MAJOR=1\nDEVNAME=disk9\nDEVTYPE=disk\n")
    (block / "size").write_text(f"{sectors}\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "disk9").touch()
    return tmp_path / "sys", tmp_path / "dev"


@pytest.fixture
def on_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    number = os.makedev(254, 7)
    _pretend(monkeypatch, tmp_path, number, LINE)
    return number


def test_a_plain_disk_is_named_with_its_size(tmp_path: Path, on_a_device: int) -> None:
    sys, dev = _sysfs(tmp_path, on_a_device, 1000)
    found = beneath(tmp_path, sys, dev)
    assert found == Beneath(f"{dev / 'disk9'} beneath {tmp_path}", dev / "disk9", 512_000)


def test_a_loop_device_whose_image_is_out_of_reach_is_read_itself(tmp_path: Path, on_a_device: int) -> None:
    sys, dev = _sysfs(tmp_path, on_a_device, 1000)
    loop = next((sys / "dev" / "block").iterdir()) / "loop"
    loop.mkdir()
    (loop / "backing_file").write_text("/gone (deleted)\n")
    found = beneath(tmp_path, sys, dev)
    assert (found.path, found.image) == (dev / "disk9", True)


def test_a_device_that_sysfs_does_not_show_is_said(tmp_path: Path, on_a_device: int) -> None:
    found = beneath(tmp_path, tmp_path / "sys", tmp_path / "dev")
    assert found.path is None
    assert found.reason == "device 254:7 is not shown here"


@pytest.mark.parametrize(
    ("size", "image", "full", "looked_at"),
    [
        (RAW_LIMIT, False, False, True),
        (RAW_LIMIT + 1, False, False, False),
        (RAW_LIMIT + 1, False, True, True),
        (RAW_LIMIT * 100, True, False, True),
    ],
)
def test_a_large_device_is_read_only_when_asked_or_an_image(
    *,
    size: int,
    image: bool,
    full: bool,
    looked_at: bool,
    state: State,
    run_folder: Run,
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Beneath("/dev/disk9 beneath it", tmp_path / "disk9", size, image=image)
    monkeypatch.setattr("clawmates.proofs.searched.beneath", lambda _folder: disk)
    monkeypatch.setattr("clawmates.proofs.searched.swaps", lambda: ())
    where = searched(state, run_folder, processes={}, mates={}, host=host, full=full)
    assert any(place.kind is Kind.DEVICE for place in where.places) is looked_at
    assert any("/dev/disk9" in sentence and "GiB" in sentence for sentence in where.not_looked_at) is not looked_at


def test_mounts_that_only_show_other_places_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "file").write_text("x")
    device = (tmp_path / "merged").stat().st_dev
    seen = {
        "entered": mounts(LINE),
        "closed": mounts(f"1 1 {os.major(device)}:{os.minor(device)} / / rw - overlay o rw"),
    }
    looked: dict[str, list[str]] = {}
    surveys = {name: Survey() for name in seen}
    for name, table in seen.items():
        monkeypatch.setattr("clawmates.proofs.places.mounts", lambda table=table: table)
        looked[name] = [target.label for target in Folder(Kind.ENGINE, tmp_path).targets(surveys[name])]
    assert str(tmp_path / "merged" / "file") in looked["entered"]
    assert str(tmp_path / "merged" / "file") not in looked["closed"]
    assert list(surveys["closed"].skipped) == [f"{Kind.ENGINE}: overlay mounts (they show what is stored elsewhere)"]
