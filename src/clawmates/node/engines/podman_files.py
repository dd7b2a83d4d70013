"""Podman's own files, kept apart from the machine's: everything below ``<state>/engine`` and ``<run>/engine``."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.files import keep
from clawmates.node.engines.runtime import SEARCH_PATH
from clawmates.node.engines.seccomp import write_profile

SECCOMP_SOURCE = Path("/usr/share/containers/seccomp.json")
"""Where containers-common puts the profile that Podman would use by itself."""


@dataclass(frozen=True, slots=True)
class PodmanFiles:
    """Where Podman keeps things; ``storage`` survives a reboot, ``run`` is a tmpfs."""

    storage: Path
    run: Path

    @property
    def containers_conf(self) -> Path:
        """containers.conf(5)."""
        return self.storage / "containers.conf"

    @property
    def storage_conf(self) -> Path:
        """containers-storage.conf(5)."""
        return self.storage / "storage.conf"

    @property
    def seccomp(self) -> Path:
        """The profile that every container gets."""
        return self.storage / "seccomp.json"

    @property
    def scratch(self) -> Path:
        """Where an image is unpacked while it is loaded: RAM, so that a load cut short leaves nothing on the disk."""
        return self.run / "tmp"

    def marker(self, image: str) -> Path:
        """There when that image lies whole on the disk: Podman lists one whose files a power cut has kept off it."""
        return self.storage / "whole" / image.removeprefix("sha256:")

    def flush(self, image: str) -> None:
        """Waits until all that was written is on the disk (syncfs(2)), then marks the image. Raises ``OSError``."""
        descriptor = os.open(self.storage, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
        self.marker(image).parent.mkdir(mode=0o700, exist_ok=True)
        keep(self.marker(image), b"")

    @property
    def environment(self) -> dict[str, str]:
        """All that a ``podman`` of ours gets to know.

        No proxy, no NOTIFY_SOCKET, no LISTEN_FDS: Podman would hand each of them on to the container.
        """
        return {
            "PATH": SEARCH_PATH,
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.storage),
            "TMPDIR": str(self.scratch),
            "CONTAINERS_CONF": str(self.containers_conf),
            "CONTAINERS_STORAGE_CONF": str(self.storage_conf),
        }

    def write(self, runtime: Path, *, seccomp_source: Path = SECCOMP_SOURCE) -> None:
        """Writes all of it. Raises ``OSError`` or :class:`~clawmates.node.engines.base.EngineMissingError`."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (self.storage, self.run, self.scratch):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wrapper = self.storage / runtime.name
        # Podman does not pass --root on to the clean-up after an exit, so the runtime's state folder is set here.
        script = f'#!/bin/sh\nexec {runtime} --root {shlex.quote(str(self.run / "runtime"))} "$@"\n'
        keep(wrapper, script.encode(), mode=0o700)
        write_profile(seccomp_source, self.seccomp)
        engine = (
            "[engine]\n"
            'lock_type = "file"\n'
            'events_logger = "none"\n'
            'cgroup_manager = "cgroupfs"\n'
            f"tmp_dir = {_toml(self.run / 'libpod')}\n"
            f'runtime = "{runtime.name}"\n'
            "[engine.runtimes]\n"
            f"{runtime.name} = [{_toml(wrapper)}]\n"
            "[network]\n"
            f"network_config_dir = {_toml(self.storage / 'networks')}\n"
        )
        keep(self.containers_conf, engine.encode())
        storage = (
            "[storage]\n"
            'driver = "overlay"\n'
            f"graphroot = {_toml(self.storage / 'storage')}\n"
            f"runroot = {_toml(self.run / 'storage')}\n"
        )
        keep(self.storage_conf, storage.encode())


def _toml(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
