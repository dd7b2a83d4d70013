"""Where credentials may be sent: the signed release's catalogue, and nothing that its key did not sign.

So whoever takes control over cannot bring in a credential that names a host of his own. Self-host makes no exception:
its owner signs the release, and adds a host by adding it to the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.wire.names import ItemName
from clawmates.wire.releases import ReleaseError, ReleaseMissingError, load
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    from clawmates.wire.release import Release


@dataclass(frozen=True, slots=True)
class Catalogue:
    """``folder`` holds the release, ``release_key`` is the pinned key; without either no credential is accepted."""

    folder: Path
    release_key: str

    def objection(self, name: ItemName, hosts: tuple[str, ...]) -> VaultRefusal | None:
        """Why a credential for these hosts is not kept. Read anew each time: puts are rare, and the release changes."""
        try:
            release = load(self.folder, self.release_key)
        except ReleaseMissingError:
            return VaultRefusal.RELEASE_MISSING
        except ReleaseError:
            return VaultRefusal.RELEASE_UNSIGNED
        return None if lists(release, name, hosts) else VaultRefusal.HOSTS_NOT_LISTED


def lists(release: Release, name: ItemName, hosts: tuple[str, ...]) -> bool:
    """Whether one messenger, or for a key one provider, has all these hosts; two of them together do not count."""
    homes = release.channels if name is ItemName.CHANNEL_TOKEN else release.providers
    return any(set(hosts) <= set(home.hosts) for home in homes)
