"""A planted leak in each place and each encoding is found, and a clean place gives nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.clock import SystemClock
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.fake import Child
from clawmates.proofs.look import NAME_WITHHELD, Findings, look
from clawmates.proofs.packings import PACKINGS
from clawmates.proofs.places import Arguments, Disk, Folder, Kind, Place, ProcessMemory
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import Host, container_folders, core_folders, searched, swaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.paths import Run, State
    from clawmates.proofs.packings import Packing


def _packed(packing: Packing) -> Callable[[str], bytes]:
    return lambda text: packing.pack(text.encode())


SHAPES: dict[str, Callable[[str], bytes]] = {
    **{encoding.name: encoding.plant for encoding in ENCODINGS},
    **{f"{packing.name} > raw": _packed(packing) for packing in PACKINGS},
}
FOLDERS = [Kind.STATE, Kind.ENGINE, Kind.RUN, Kind.TEMP, Kind.LOG, Kind.JOURNAL, Kind.CORE, Kind.CONTAINER]
each_shape = pytest.mark.parametrize("shape", SHAPES)


async def found_in(places: list[Place], canary: Canary, since: float = 0.0) -> Findings:
    return await look(places, Patterns.of(canary), clock=SystemClock(), since=since)


def shapes(findings: Findings) -> set[str]:
    return {hit.encoding for hit in findings.hits}


@each_shape
@pytest.mark.parametrize("kind", FOLDERS)
async def test_a_leak_in_a_file_is_found(kind: Kind, shape: str, tmp_path: Path, canary: Canary) -> None:
    leak = tmp_path / "some" / "where" / ".hidden"
    leak.parent.mkdir(parents=True)
    leak.write_bytes(b"line\n" + SHAPES[shape](canary.mark) + b"\nline\n")
    findings = await found_in([Folder(kind, tmp_path)], canary)
    assert shape in shapes(findings)
    assert {(hit.kind, hit.place) for hit in findings.hits} == {(kind, str(leak))}


@pytest.mark.parametrize("kind", FOLDERS)
async def test_a_clean_folder_gives_nothing(kind: Kind, tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_bytes(b"nothing of interest " + mint().mark.encode())
    findings = await found_in([Folder(kind, tmp_path)], canary)
    assert findings.count == 0
    assert [row.things for row in findings.rows] == [1]


@each_shape
@pytest.mark.parametrize("kind", [Kind.DEVICE, Kind.SWAP])
async def test_a_leak_on_a_raw_device_is_found(kind: Kind, shape: str, tmp_path: Path, canary: Canary) -> None:
    image = tmp_path / "image"
    with image.open("wb") as out:
        out.truncate(64 << 30)
        out.seek((50 << 30) + 123)
        out.write(SHAPES[shape](canary.mark))
    findings = await found_in([Disk(kind, image, "a disk")], canary)
    assert shape in shapes(findings)
    assert {(hit.kind, hit.place) for hit in findings.hits} == {(kind, "a disk")}
    assert findings.rows[0].size < 1 << 20, "holes are passed over"


@each_shape
async def test_a_leak_in_a_process_is_found(shape: str, canary: Canary) -> None:
    child = await Child.start()
    try:
        clean = await found_in([ProcessMemory("vault", child.pid)], canary)
        await child.hold(SHAPES[shape](canary.mark))
        findings = await found_in([ProcessMemory("vault", child.pid)], canary)
    finally:
        await child.kill()
    assert clean.count == 0
    assert shape in shapes(findings)
    assert findings.hits[0].place == f"vault (process {child.pid})"


@each_shape
@pytest.mark.parametrize("name", ["cmdline", "environ"])
async def test_a_leak_in_arguments_or_environment_is_found(
    name: str, shape: str, tmp_path: Path, canary: Canary
) -> None:
    (tmp_path / "4242").mkdir()
    (tmp_path / "4242" / name).write_bytes(b"program\0--text\0" + SHAPES[shape](canary.mark) + b"\0")
    findings = await found_in([Arguments(tmp_path)], canary)
    assert shape in shapes(findings)
    assert findings.hits[0].place == f"{name} of process 4242"


async def test_a_leak_in_a_real_command_line_is_found(canary: Canary) -> None:
    process = await asyncio.create_subprocess_exec("cat", "-", canary.mark, stdin=asyncio.subprocess.PIPE)
    try:
        findings = await found_in([Arguments()], canary)
    finally:
        process.kill()
        await process.wait()
    assert f"cmdline of process {process.pid}" in {hit.place for hit in findings.hits}


def _sqlite(path: Path, journal: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode={journal}")
    database.execute("PRAGMA secure_delete=OFF")
    database.execute("CREATE TABLE kept (value BLOB)")
    return database


@each_shape
async def test_a_leak_in_a_write_ahead_log_is_found(shape: str, state: State, canary: Canary) -> None:
    with closing(_sqlite(state.root / "vault.db", "WAL")) as database:
        database.execute("INSERT INTO kept VALUES (?)", (SHAPES[shape](canary.mark),))
        findings = await found_in([Folder(Kind.STATE, state.root)], canary)
    assert shape in shapes(findings)
    assert {hit.place for hit in findings.hits} == {str(state.root / "vault.db-wal")}


@each_shape
async def test_a_deleted_row_in_a_free_page_is_found(shape: str, state: State, canary: Canary) -> None:
    with closing(_sqlite(state.root / "vault.db", "DELETE")) as database:
        database.execute("INSERT INTO kept VALUES (?)", (SHAPES[shape](canary.mark),))
        database.execute("DELETE FROM kept")
        assert database.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    findings = await found_in([Folder(Kind.STATE, state.root)], canary)
    assert shape in shapes(findings)


async def test_a_leak_in_a_rollback_journal_is_found(state: State, canary: Canary) -> None:
    with closing(_sqlite(state.root / "vault.db", "DELETE")) as database:
        database.execute("INSERT INTO kept VALUES (?)", (canary.mark,))
        database.execute("PRAGMA secure_delete=ON")
        database.execute("PRAGMA cache_spill=ON")
        database.execute("BEGIN")
        database.execute("DELETE FROM kept")
        findings = await found_in([Folder(Kind.STATE, state.root)], canary)
        database.execute("ROLLBACK")
    assert str(state.root / "vault.db-journal") in {hit.place for hit in findings.hits}


async def _ext4(image: Path, content: Path) -> None:
    with image.open("wb") as out:
        out.truncate(16 << 20)
    await _run("mkfs.ext4", "-q", "-d", str(content), str(image))


async def _run(*command: str) -> None:
    # Administrators' programs are not on every PATH.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    assert program is not None, f"{command[0]} is missing"
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert await process.wait() == 0


@each_shape
async def test_a_deleted_file_in_a_file_system_is_found(shape: str, tmp_path: Path, canary: Canary) -> None:
    content = tmp_path / "content"
    content.mkdir()
    (content / "note").write_bytes(SHAPES[shape](canary.mark) + bytes(200))
    image = tmp_path / "image"
    await _ext4(image, content)
    await _run("debugfs", "-w", "-R", "rm /note", str(image))
    findings = await found_in([Disk(Kind.DEVICE, image, "a disk")], canary)
    assert shape in shapes(findings)


async def test_a_leak_in_a_name_is_found_and_not_repeated(tmp_path: Path, canary: Canary) -> None:
    folder = tmp_path / f"chat {canary.stem}"
    folder.mkdir()
    (folder / "file").write_text(canary.mark)
    (tmp_path / "link").symlink_to(f"/nowhere/{canary.stem}")
    findings = await found_in([Folder(Kind.TEMP, tmp_path)], canary)
    assert {hit.place for hit in findings.hits} == {
        f"names in {tmp_path}",
        NAME_WITHHELD,
        f"link {tmp_path / 'link'}",
    }
    assert canary.stem not in repr(findings)


async def test_sockets_pipes_and_links_stop_nobody(tmp_path: Path, canary: Canary) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text(canary.mark)
    (tmp_path / "away").symlink_to(outside)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "s"))
        findings = await found_in([Folder(Kind.RUN, tmp_path)], canary)
    assert findings.count == 0


async def test_a_file_is_searched_once_however_many_places_show_it(tmp_path: Path, canary: Canary) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "file").write_text(canary.mark)
    (inner / "hard").hardlink_to(inner / "file")
    findings = await found_in([Folder(Kind.STATE, tmp_path), Folder(Kind.ENGINE, inner)], canary)
    assert [(hit.kind, hit.encoding) for hit in findings.hits] == [(Kind.ENGINE, "raw")]


async def test_old_files_are_passed_over_only_where_asked_and_it_is_said(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_text(canary.mark)
    later = SystemClock().now().timestamp() + 60
    patient = await found_in([Folder(Kind.TEMP, tmp_path)], canary, since=later)
    hasty = await found_in([Folder(Kind.TEMP, tmp_path, only_new=True)], canary, since=later)
    assert patient.count == 1
    assert hasty.count == 0
    assert hasty.not_looked_at == (f"{Kind.TEMP}: files unchanged since before the first canary: 1",)


async def test_a_new_name_makes_its_folder_new_and_those_in_an_older_one_are_passed_over(
    tmp_path: Path, canary: Canary
) -> None:
    kept = tmp_path / "folder" / "within" / canary.stem
    kept.parent.mkdir(parents=True)
    kept.symlink_to(canary.stem)
    place, born = Folder(Kind.TEMP, tmp_path, only_new=True), kept.lstat().st_ctime
    assert (await found_in([place], canary, since=born)).count == 2
    hasty = await found_in([place], canary, since=born + 60)
    assert hasty.count == 0
    assert hasty.not_looked_at == (f"{Kind.TEMP}: files unchanged since before the first canary: 1",)


async def test_a_changed_time_does_not_hide_a_file(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_text(canary.mark)
    os.utime(tmp_path / "file", (1, 1))
    since = SystemClock().now().timestamp() - 60
    findings = await found_in([Folder(Kind.TEMP, tmp_path, only_new=True)], canary, since=since)
    assert findings.count == 1


async def test_what_cannot_be_read_is_said(tmp_path: Path, canary: Canary) -> None:
    findings = await found_in([Disk(Kind.DEVICE, tmp_path / "gone", "a disk")], canary)
    assert findings.not_looked_at == ("raw device: not readable (No such file or directory): 1",)
    gone = await found_in([ProcessMemory("vault", 1 << 30)], canary)
    assert gone.not_looked_at == ("memory: not readable (No such file or directory): 1",)


async def test_the_searching_process_is_left_out_and_says_so(canary: Canary) -> None:
    findings = await found_in([ProcessMemory("prove", os.getpid()), Arguments()], canary)
    assert findings.count == 0
    assert "memory: the searching process itself, which holds the canary: 1" in findings.not_looked_at


async def test_many_hits_are_counted_and_a_few_are_named(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "file").write_text(canary.mark * 500)
    findings = await found_in([Folder(Kind.LOG, tmp_path)], canary)
    assert findings.count == 500
    assert len(findings.hits) == 50


def test_the_list_of_places_holds_every_kind(state: State, run_folder: Run, host: Host, tmp_path: Path) -> None:
    where = searched(
        state, run_folder, processes={"vault": os.getpid()}, mates={"tester": os.getpid()}, host=host, full=False
    )
    kinds = {place.kind for place in where.places}
    # Swap and a readable device depend on the machine; the container's folder on there being one.
    assert kinds >= {*Kind} - {Kind.DEVICE, Kind.SWAP, Kind.CONTAINER}
    assert Kind.DEVICE in kinds or any("raw device" in sentence for sentence in where.not_looked_at)
    fully = {place.path for place in where.places if isinstance(place, Folder) and not place.only_new}
    assert fully == {state.root, state.engine, run_folder.root}


def test_full_passes_over_nothing(state: State, run_folder: Run, host: Host) -> None:
    where = searched(state, run_folder, processes={}, mates={}, host=host, full=True)
    hasty = {place.kind for place in where.places if isinstance(place, Folder) and place.only_new}
    assert hasty == {Kind.REST}
    assert not any("--full" in sentence for sentence in where.not_looked_at)


def test_the_temp_folder_of_the_environment_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/somewhere/else")
    assert "/somewhere/else" in Host.here().temp
    monkeypatch.delenv("TMPDIR")
    assert Host.here() == Host()


def test_swap_areas_are_read_from_the_kernels_list() -> None:
    text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2   partition\t1048572\t\t0\t\t-2\n"
    (area,) = swaps(text)
    assert (area.path, area.size) == (Path("/dev/sda2"), 1048572 * 1024)
    assert swaps(text.splitlines()[0]) == ()


@pytest.mark.parametrize(
    ("pattern", "folders"),
    [
        ("core", (Path("/proc/7/cwd"),)),
        ("/var/cores/core.%e.%p", (Path("/var/cores"),)),
        ("/core", (Path("/"),)),
        ("/var/%u/core", (Path("/var"),)),
        ("|/usr/share/apport/apport %p", ()),
    ],
)
def test_core_dumps_are_looked_for_where_the_kernel_puts_them(pattern: str, folders: tuple[Path, ...]) -> None:
    assert core_folders({"vault": 7}, pattern) == folders


async def test_a_core_dump_in_a_working_folder_is_found_without_descending(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "core").write_bytes(b"\x7fELF" + canary.mark.encode())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text(canary.mark)
    findings = await found_in([Folder(Kind.CORE, tmp_path, flat=True)], canary)
    assert {hit.place for hit in findings.hits} == {str(tmp_path / "core")}


async def test_a_working_folder_within_another_place_is_searched_as_both(tmp_path: Path, canary: Canary) -> None:
    """Services work in ``/``, and so does the search of a whole host: each kind must find its own control text."""
    (tmp_path / "control").write_text(canary.mark)
    findings = await found_in([Folder(Kind.CORE, tmp_path, flat=True), Folder(Kind.REST, tmp_path)], canary)
    assert findings.counts == {Kind.CORE: 1, Kind.REST: 1}


def test_a_mate_without_a_root_of_its_own_gives_no_container_folder() -> None:
    assert list(container_folders({"tester": os.getpid()})) == []
