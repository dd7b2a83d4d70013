"""``clawmates release``: the offline key that decides what may run, and how anybody checks what it signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.cli.passphrase import fresh, known, passphrase_option
from clawmates.selfhost import keyfile, releases
from clawmates.selfhost.install import adopt_release
from clawmates.wire.releases import KeyNotPinnedError, ReleaseError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.releases import Examined

MIB = 1 << 20
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def release() -> None:
    """Sign releases, offline, and check them, which needs no platform; install one."""


@release.command("keygen")
@click.option("--out", type=FILE, required=True, help="The new private key: keep it off every host that it signs for.")
@click.option("--no-passphrase", "without", is_flag=True, help="Make a key that opens without a passphrase.")
@passphrase_option
@json_option
@answered
async def keygen(out: Path, without: bool, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Make a key that signs releases, and print its public half: what nodes pin as [node] release_key."""
    public = keyfile.make(out, keyfile.Kind.RELEASE, fresh(passphrase_file, without=without))
    succeed({"public": public, "file": str(out), "passphrase": not without}, as_json=as_json, text=public)


@release.command("sign")
@click.argument("folder", type=FOLDER)
@click.option("--key", type=FILE, required=True, help="The private key, from `release keygen` or `make image`.")
@passphrase_option
@json_option
@answered
async def sign(folder: Path, key: Path, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Check every digest in a release folder, then sign it: release.sig and release.pub are replaced."""
    try:
        releases.examine(folder)
        private = keyfile.read(key, keyfile.Kind.RELEASE, known(passphrase_file))
        found = releases.sign(folder, private)
    except ReleaseError as error:
        raise _broken(error) from None
    succeed(found, as_json=as_json, text=f"signed: {_text(found)}")


@release.command("verify")
@click.argument("folder", type=FOLDER)
@click.option("--key", required=True, help="The public key that you trust, or a file that holds it.")
@click.option("--digest", default="", help="The image that `clawmates status` shows: it must be this release's.")
@json_option
@answered
async def verify(folder: Path, key: str, digest: str, as_json: bool) -> None:  # noqa: FBT001
    """Check a release folder: the signature, every digest below it, the list of parts. Says what was checked."""
    try:
        found = releases.verify(folder, _public(key), digest)
    except KeyNotPinnedError:
        raise click.UsageError("--key is not an Ed25519 public key in Base64") from None
    except ReleaseError as error:
        raise _broken(error) from None
    succeed(found, as_json=as_json, text=f"good: {_text(found)}")


@release.command("install")
@click.argument("folder", type=FOLDER)
@state_option
@json_option
@answered
async def install(folder: Path, state: State, as_json: bool) -> None:  # noqa: FBT001
    """Give a running platform another release, newer or older: one bot tries it, the others follow or never notice."""
    need_root()
    found = adopt_release(folder, state, settings_of(state))
    text = f"release {found.number} is in place: `clawmates status` shows what becomes of it"
    data = {"number": found.number, "digest": found.image.digest}
    succeed(data, as_json=as_json, text=text)


def _public(given: str) -> str:
    path = Path(given)
    return path.read_text().strip() if path.is_file() else given


def _broken(error: ReleaseError) -> CommandError:
    return CommandError(
        f"{str(error).rstrip('.')}.",
        code="release-broken",
        remedy="Run nothing of it: get it anew, or rebuild it with `image/build`.",
    )


def _text(found: Examined) -> str:
    pinned = f"NOT PINNED: {', '.join(found.unpinned)}" if found.unpinned else "every package pinned"
    return "\n".join(
        [
            f"release {found.number}, signed by {found.signed_by}",
            f"  image {found.digest} ({found.size / MIB:.1f} MiB, {found.parts} parts, {pinned})",
            f"  channels {', '.join(found.channels)}; providers {', '.join(found.providers)}",
            *(f"  ✓ {one}" for one in found.checked),
        ]
    )
