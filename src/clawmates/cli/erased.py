"""The receipt of a deleted account, for ``clawmates receipt verify``: offline, years later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json
from clawmates.cli.answers import CommandError
from clawmates.wire.erasure import Ended, ErasureReceipt, Log, check, key_name
from clawmates.wire.receipt import MAX_RECEIPT, ReceiptError

if TYPE_CHECKING:
    from pathlib import Path

_ENDED = {
    Ended.NODE: "its host said that it is gone",
    Ended.LEASE: "its right to run had ended",
    Ended.NOWHERE: "it ran nowhere",
}
_LOG = {
    Log.EMPTIED: "the database's write-ahead log was emptied",
    Log.LEFT: "the database's write-ahead log was left to its server, which keeps it for some time",
}


def erasure_of(file: Path) -> ErasureReceipt | None:
    """The receipt of a deleted account; ``None`` for a file that is none. Raises ``OSError``."""
    try:
        return decode_json(ErasureReceipt, file.read_bytes(), MAX_RECEIPT)
    except ShapeError:
        return None


def verified(file: Path, receipt: ErasureReceipt, key: str) -> ErasureReceipt:
    """The receipt itself, once it is good; with ``key``, by that one. Raises :class:`CommandError`."""
    try:
        check(receipt)
    except ReceiptError as error:
        raise CommandError(f"{file}: {error}", code="receipt-broken") from None
    if key and key != receipt.control_key:
        raise CommandError(
            f"{file}: it was signed by another key, {key_name(receipt.control_key)}.",
            code="other-key",
            remedy="Compare with the name of the key on the page from which you took the file.",
        )
    return receipt


def erasure_text(receipt: ErasureReceipt) -> str:
    """For people."""
    said, vaults = receipt.erasure, receipt.vault.receipt
    kept = f"{len(vaults.items)} items, tenant keys: {vaults.tenant_keys}; copy of the keys: {vaults.keys_copy.value}"
    names = key_name(receipt.control_key), key_name(receipt.vault_key)
    return "\n".join(
        (
            f"good: account {said.account} of {said.region}, asked for {said.asked}",
            f"  keys destroyed {vaults.destroyed} by {vaults.software} ({kept})",
            f"  deleted {said.erased}, files written anew {said.rewritten} by {said.software}; {_LOG[said.log]}",
            *(f"  {one.datum}: {one.rows} rows" for one in said.data),
            *(f"  bot {one.bot}: {_ENDED[one.by]}" for one in said.bots),
            "  signed with the web service's key {} and the vault's {}".format(*names),
        )
    )
