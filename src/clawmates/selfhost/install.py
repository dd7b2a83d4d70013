"""Makes a platform on this host: folders, certificates, configuration, and the release it will run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.paths import DEFAULT_RUN, Run, State
from clawmates.base.settings import Settings, SettingsError, load, vault_address
from clawmates.base.shape import encode, encode_json
from clawmates.base.tls import client_context
from clawmates.node.release import check_archive, check_sbom
from clawmates.selfhost import layout, pki, services
from clawmates.selfhost.prepare import prepare
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release
from clawmates.wire.vault_client import VaultClient, VaultUnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from clawmates.wire.release import Release

RELEASE_FILES = ("release.json", "release.sig", "release.pub")


class InstallError(Exception):
    """The platform cannot be made as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make, and where."""

    state: State
    release: Path
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Settings other than the defaults, by section."""

    @property
    def run(self) -> Run:
        """The runtime folder of a platform that is made by this plan."""
        return Run(Path(str(self.settings.get("platform", {}).get("run", DEFAULT_RUN))))


def install(plan: Plan, now: datetime) -> tuple[Settings, Release]:
    """Makes everything but the bots; repeating it changes nothing that is there. Raises :class:`InstallError`."""
    try:
        layout.make(layout.state_folders(plan.state))
        if not plan.state.config.exists():
            public = (plan.release / "release.pub").read_text().strip()
            sections = {name: dict(values) for name, values in plan.settings.items()}
            sections.setdefault("node", {})["release_key"] = public
            write_atomic(plan.state.config, to_toml(sections).encode(), mode=0o644)
        settings = load(plan.state.config)
        layout.make(layout.state_folders(plan.state, hosted=settings.hosted))
        pki.ensure(plan.state, settings.platform.region, settings.node.name, now, hosted=settings.hosted)
        release = adopt_release(plan.release, plan.state, settings)
        layout.ensure_tmpfs(settings.run)
        layout.make(layout.run_folders(settings.run, hosted=settings.hosted))
    except FileNotFoundError as error:
        raise InstallError(f"{error.filename} is missing: run `make image` first.") from None
    except (OSError, layout.LayoutError, SettingsError) as error:
        raise InstallError(str(error)) from None
    return settings, release


def adopt_release(folder: Path, state: State, settings: Settings) -> Release:
    """Copies a release into the state folder when its signature holds; raises :class:`InstallError`."""
    try:
        release = load_release(folder, settings.node.release_key)
        archive = check_archive(folder, release.image)
        sbom = check_sbom(folder, release.sbom) if release.sbom is not None else None
    except ReleaseError as error:
        raise InstallError(f"the release in {folder} cannot be used: {error}. Run `make image`.") from None
    if folder.resolve() == state.release.resolve():
        return release
    _link(archive, state.release / release.image.archive)
    if sbom is not None:
        write_atomic(state.release / sbom.name, sbom.read_bytes(), mode=0o644)
    for name in RELEASE_FILES:
        write_atomic(state.release / name, (folder / name).read_bytes(), mode=0o644)
    return release


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system allows, else a copy; replaced in one rename either way."""
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source, fresh)
    except OSError:
        shutil.copyfile(source, fresh)
    fresh.chmod(0o644)
    fresh.rename(target)


def to_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """A small TOML document: tables of strings, numbers, booleans and string maps."""
    lines = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    return encode_json(encode(value)).decode()


@asynccontextmanager
async def vault_of(state: State, settings: Settings) -> AsyncIterator[VaultClient]:
    """A client of the running vault; where none runs, one is started for the time of the block.

    Raises :class:`InstallError`, ``LayoutError`` and ``OSError``.
    """
    client = _running_vault(state, settings)
    if client is not None and await _answers(client):
        yield client
        return
    # After a reboot the runtime folder is gone, and after a long rest the certificates are too old.
    prepare(state, settings)
    listener = services.listen(settings)
    supervisor = Supervisor(settings.run.supervisor)
    try:
        await supervisor.start([services.vault(state, listener)])
        if supervisor.running["vault"].phase is not Phase.READY:
            raise InstallError("the vault does not start: its own sentence stands above.")
        yield _client(state, listener.getsockname()[:2])
    finally:
        await supervisor.close()
        listener.close()


def _running_vault(state: State, settings: Settings) -> VaultClient | None:
    # Without a certificate of ours, as after a restore, none was started yet.
    with suppress(SettingsError, FileNotFoundError):
        return _client(state, vault_address(settings))
    return None


def _client(state: State, address: tuple[str, int]) -> VaultClient:
    tls = client_context(authority=state.authority, identity=state.identity("cli"))
    return VaultClient(address[0], address[1], tls)


async def _answers(client: VaultClient) -> bool:
    try:
        await client.intake_key()
    except VaultUnreachableError:
        return False
    return True
