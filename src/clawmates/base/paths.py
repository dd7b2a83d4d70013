"""Where things lie: the state folder on disk, the runtime folder in RAM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_STATE = Path("/var/lib/clawmates")
DEFAULT_RUN = Path("/run/clawmates")


@dataclass(frozen=True, slots=True)
class State:
    """What survives a reboot (``/var/lib/clawmates`` or ``--state``)."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings of all processes; holds no secret."""
        return self.root / "clawmates.toml"

    @property
    def desired(self) -> Path:
        """Which bots should run (self-host)."""
        return self.root / "desired.json"

    @property
    def pki(self) -> Path:
        """The local authority, and one folder a service with ``cert.pem`` and ``key.pem``."""
        return self.root / "pki"

    @property
    def authority(self) -> Path:
        """The local authority's certificate."""
        return self.pki / "authority.pem"

    def identity(self, service: str) -> tuple[Path, Path]:
        """(certificate, key) of one service, both PEM."""
        return self.pki / service / "cert.pem", self.pki / service / "key.pem"

    @property
    def revoked(self) -> Path:
        """Service names whose earlier certificates count no more; in a folder of its own, for it is replaced."""
        return self.pki / "revoked" / "names.json"

    @property
    def enrolments(self) -> Path:
        """Hashes of enrolment tokens that were given and not yet used."""
        return self.pki / "enrolments.json"

    @property
    def release(self) -> Path:
        """``release.json``, ``release.sig`` and the images they name."""
        return self.root / "release"

    @property
    def vault(self) -> Path:
        """``master.key``, ``keys.db`` and ``vault.db``."""
        return self.root / "vault"

    @property
    def control(self) -> Path:
        """Control's database, where it is SQLite, and its own keys."""
        return self.root / "control"

    @property
    def node(self) -> Path:
        """What node keeps."""
        return self.root / "node"

    @property
    def heads(self) -> Path:
        """The audit heads that node has countersigned, one a line."""
        return self.node / "heads.jsonl"

    @property
    def good_release(self) -> Path:
        """The last release that came to life, whole, and which one did not."""
        return self.node / "release"

    @property
    def engine(self) -> Path:
        """The container engine's own storage."""
        return self.root / "engine"

    @property
    def backup(self) -> Path:
        """Sealed backups, where no other place is named for them."""
        return self.root / "backup"

    @property
    def log(self) -> Path:
        """Closed events, one file a process and day."""
        return self.root / "log"


@dataclass(frozen=True, slots=True)
class Run:
    """What is gone after a reboot (``/run/clawmates``); a tmpfs, so nothing here touches a disk."""

    root: Path

    @property
    def doors(self) -> Path:
        """One folder a bot, with its ``door.sock``; owned by the gateway."""
        return self.root / "doors"

    @property
    def boot(self) -> Path:
        """One folder a bot: what to trust, and one ticket; owned by node."""
        return self.root / "boot"

    @property
    def engine(self) -> Path:
        """The container engine's runtime state."""
        return self.root / "engine"

    @property
    def gateway(self) -> Path:
        """The socket on which gateway listens to node."""
        return self.root / "gateway" / "gateway.sock"

    @property
    def node(self) -> Path:
        """The socket on which node answers the CLI."""
        return self.root / "node" / "node.sock"

    @property
    def control(self) -> Path:
        """The socket on which control answers the operator."""
        return self.root / "control" / "control.sock"

    @property
    def supervisor(self) -> Path:
        """Where ``clawmates up`` lives: its lock, its notify socket."""
        return self.root / "supervisor"

    @property
    def resumed(self) -> Path:
        """Root's order to begin countersigning anew, after one of two chains was put back from a backup alone."""
        return self.root / "orders" / "resumed.json"

    @property
    def pids(self) -> Path:
        """``pids.json``: the processes that ``clawmates up`` runs, by service."""
        return self.root / "pids.json"

    @property
    def ports(self) -> Path:
        """``ports.json``: the TCP ports in use, by service."""
        return self.root / "ports.json"
