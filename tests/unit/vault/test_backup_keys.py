"""The keys that control seals rows to in a backup: made when asked for, in the copy first, gone with the tenant."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from tests.unit.vault.conftest import House

from clawmates.vault import backupkeys
from clawmates.vault.keycopy import CopyError
from clawmates.wire.backups import BackupKeysRequest, RowsError, Sealed, open_rows, seal_rows
from clawmates.wire.receipt import KeysCopy
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault_deeds import KeyKind


def asked(house: House, *tenants: str, make: bool = True) -> dict[str, str]:
    found = house.store.backup_keys(BackupKeysRequest(tenants=tenants, make=make))
    return {key.tenant: key.public for key in found.keys}


def opened(house: House, sealed: Sealed) -> bytes | None:
    private = backupkeys.private(house.store.keys, sealed.tenant)
    return None if private is None else open_rows(private, "local", sealed)


@pytest.fixture
def copied(house: House, tmp_path: Path) -> House:
    (tmp_path / "away").mkdir(mode=0o700)
    house.keys_copy = str(tmp_path / "away" / "keys.db")
    house.reopen()
    return house


def test_made_once_and_only_when_that_is_asked(copied: House) -> None:
    assert asked(copied, "acme", make=False) == {}
    first = asked(copied, "acme", "other", "acme")
    assert asked(copied, "acme", "other", "third", make=False) == first
    assert len(set(first.values())) == 2
    sealed = seal_rows(first["acme"], "local", "acme", b"ada@example.org")
    copied.reopen()
    assert opened(copied, sealed) == b"ada@example.org"
    for other in (Sealed(tenant="other", box=sealed.box), Sealed(tenant="acme", box=sealed.box[:-8] + "AAAAAAA=")):
        with pytest.raises(RowsError):
            opened(copied, other)
    private = backupkeys.private(copied.store.keys, "acme")
    assert private is not None
    with pytest.raises(RowsError):
        open_rows(private, "elsewhere", sealed)


def test_given_out_only_once_it_is_in_the_separate_copy(copied: House) -> None:
    away = Path(copied.keys_copy).parent
    away.rename(away.with_name("unplugged"))
    with pytest.raises(CopyError):
        asked(copied, "acme")
    away.with_name("unplugged").rename(away)
    (public,) = asked(copied, "acme").values()
    assert public
    assert b"acme" in Path(copied.keys_copy).read_bytes()


def test_it_goes_with_the_tenant_also_where_there_is_nothing_else(copied: House) -> None:
    publics = asked(copied, "acme", "other")
    receipt = copied.store.destroy_tenant("acme", copied.clock.now()).receipt
    assert (receipt.bots, receipt.keys_copy) == ((), KeysCopy.REPLACED)
    assert asked(copied, "acme", "other", make=False) == {"other": publics["other"]}
    assert opened(copied, seal_rows(publics["acme"], "local", "acme", b"x")) is None
    copied.work()
    for path in (copied.folder / "keys.db", Path(copied.keys_copy)):
        raw = path.read_bytes()
        assert [b64decode(publics[name]) in raw for name in ("acme", "other")] == [False, True]


def test_the_end_of_a_bot_and_of_every_older_key_leaves_it(copied: House) -> None:
    """A tenant's own key ends with the last bot, and is rotated; what was sealed before must open all the same."""
    copied.assign("b1", "acme")
    (public,) = asked(copied, "acme").values()
    sealed = seal_rows(public, "local", "acme", b"rows")
    copied.store.destroy("b1", copied.clock.now())
    before = copied.store.keys.master.id
    copied.store.begin_rotation(RotationRequest(kind=KeyKind.MASTER), copied.clock.now())
    copied.work()
    assert copied.store.keys.master.id != before
    copied.reopen()
    assert opened(copied, sealed) == b"rows"
