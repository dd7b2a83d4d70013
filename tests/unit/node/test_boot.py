from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clawmates.base.secret import Secret
from clawmates.base.shape import decode_json
from clawmates.node.boot import BootFolders, Ticketed
from clawmates.wire.boot import AUTHORITY_FILE, BOOT_FILE, EXTRA_ROOTS_FILE, Boot
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from pathlib import Path

GID = 1_000_001_000


def boot(ticket: str = "") -> Boot:
    return Boot(
        bot="anna", region="local", generation=3, vault="clawmates://local/vault/vault-1", ticket=Secret(ticket or "t")
    )


@pytest.fixture
def folders(tmp_path: Path) -> BootFolders:
    return BootFolders(tmp_path / "boot", tmp_path / "bots", b"authority", b"roots")


def test_the_folder_is_for_one_group_to_read(folders: BootFolders) -> None:
    folders.prepare(boot(), GID)
    folder = folders.root / "anna" / "3"
    assert {path.name for path in folder.iterdir()} == {BOOT_FILE, AUTHORITY_FILE, EXTRA_ROOTS_FILE}
    for path, mode in ((folder, 0o750), *((one, 0o440) for one in folder.iterdir())):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, GID, mode)


def test_the_mate_can_read_what_was_written(folders: BootFolders) -> None:
    folders.prepare(boot("secret"), GID)
    assert decode_json(Boot, (folders.root / "anna" / "3" / BOOT_FILE).read_bytes()) == boot("secret")


def test_a_ticket_replaces_the_file_in_one_rename(folders: BootFolders) -> None:
    folders.prepare(boot("one"), GID)
    path = folders.root / "anna" / "3" / BOOT_FILE
    with path.open() as held:
        before = os.fstat(held.fileno()).st_ino
        folders.write(boot("two"), GID)
        assert json.load(held)["ticket"] == "one", "who reads while it is replaced sees the old one whole"
    assert path.stat().st_ino != before
    assert json.loads(path.read_bytes())["ticket"] == "two"


def test_extra_roots_go_when_the_switch_is_off(folders: BootFolders) -> None:
    folders.prepare(boot(), GID)
    BootFolders(folders.root, folders.notes, b"authority", None).prepare(boot(), GID)
    assert not (folders.root / "anna" / "3" / EXTRA_ROOTS_FILE).exists()


def test_a_note_survives_node_and_goes_with_the_next_start(folders: BootFolders) -> None:
    folders.prepare(boot(), GID)
    assert folders.noted("anna", 3) is None
    note = Ticketed(generation=3, items={ItemName.PROMPT: 2}, written=20_480)
    folders.note("anna", note)
    assert folders.noted("anna", 3) == note
    folders.prepare(replace(boot(), generation=4, predecessor=3), GID)
    assert folders.noted("anna", 3) == note, "the life that a new one follows keeps what it has"
    assert folders.lives("anna") == (3, 4)
    folders.prepare(replace(boot(), generation=5), GID)
    assert folders.noted("anna", 3) is None
    assert folders.lives("anna") == (5,)


def test_a_damaged_note_is_no_note(folders: BootFolders) -> None:
    (folders.notes / "anna").mkdir(parents=True)
    (folders.notes / "anna" / "3.json").write_text("{")
    assert folders.noted("anna", 3) is None


def test_nothing_of_a_removed_bot_stays(folders: BootFolders) -> None:
    folders.prepare(boot(), GID)
    folders.note("anna", Ticketed(generation=3, items={}))
    assert folders.bots() == ("anna",)
    folders.remove("anna")
    folders.remove("anna")
    assert folders.bots() == ()
    assert list(folders.notes.iterdir()) == []
