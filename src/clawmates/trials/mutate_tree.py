"""A copy of the checkout that can be broken: its own sources, environment, image, release and signing key.

The copy is a whole one, because that is what a defect would be in: services start from it, the image is built from
it, and a key made for it signs its release.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from clawmates.trials.throwaway import TrialError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.trials.mutation import Mutation

COPIED = ("image", "requirements", "src", "tests", "docs", "pyproject.toml", "README.md")
BUILT = ("cache/debs", "cache/wheels", "cache/built.json", "release/mate.oci.tar", "release/mate.cdx.json")
"""What was fetched for the image already, and the image: the copy's is the same until a defect is in it."""
BUILD_SECONDS = 900
PROVE_SECONDS = 2400
"""Five claims take two minutes on two idle processors, and twelve were seen where forty others wanted them."""
LOOK_SECONDS = 0.5
"""How often who waits looks whether it is to stop."""
END_SECONDS = 60
"""What a trial takes to remove what it started."""
TEST_SECONDS = 120
"""A defect may also make a test wait for ever."""
_FAILED = 1


@dataclass(slots=True)
class Tree:
    """The copy at ``root``. ``ticks`` gives every change of a file a later time than the one before."""

    root: Path
    ticks: Iterator[int] = field(default_factory=lambda: count(1))
    stopped: Event = field(default_factory=Event)
    """Whoever sets it, from any thread, ends what the copy runs and all that it would run."""

    @property
    def reports(self) -> Path:
        """Where the claims' reports are kept, beside the copy."""
        return self.root.parent / "reports"

    @property
    def python(self) -> Path:
        """The interpreter that imports the copy."""
        return self.root / ".venv" / "bin" / "python"

    @contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        """The copy with a defect in it, for the time of the block. Raises ``StaleError``."""
        texts = mutation.patched(self.root)
        before = {name: (self.root / name).read_text() for name in texts}
        for name, text in texts.items():
            self._write(name, text)
        try:
            yield
        finally:
            for name, text in before.items():
                self._write(name, text)

    def build(self) -> str:
        """Builds and signs the copy's image where anything of it changed; returns its digest."""
        done = self._run([str(self.python), "image/build", "--json"], BUILD_SECONDS)
        if done.returncode:
            raise TrialError(f"the copy's image cannot be built: {_last(done.stderr)}")
        return str(json.loads(done.stdout)["data"]["digest"])

    def prove(self, claims: Sequence[str]) -> bytes:
        """The JSON report of the copy's own claims, on `make prove`'s platform with few bots.

        Raises :class:`TrialError`.
        """
        chosen = [part for claim in claims for part in ("--claim", claim)]
        return self._report(["clawmates.trials.prove", "--json", "--few", "--messages", "1", *chosen])

    def prove_one(self, claim: str) -> bytes:
        """The same for one claim, on the smallest platform that shows it."""
        return self._report(["clawmates.trials.mutant", claim])

    def _report(self, module: list[str]) -> bytes:
        done = self._run([str(self.python), "-I", "-m", *module], PROVE_SECONDS)
        if done.returncode not in {0, _FAILED} or not done.stdout.startswith(b'{"claims"'):
            raise TrialError(f"the claims could not be tried: {_last(done.stderr)}")
        return done.stdout

    def fails(self, test: str) -> bool:
        """Whether a test of the copy fails; raises :class:`TrialError` when there is no such test."""
        command = [
            str(self.python),
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            f"--timeout={TEST_SECONDS}",
            test,
        ]
        done = self._run(command, PROVE_SECONDS)
        if done.returncode not in {0, _FAILED}:
            raise TrialError(f"{test} cannot be run: {_last(done.stdout)}")
        return done.returncode == _FAILED

    def _run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
        if self.stopped.is_set():
            raise TrialError("stopped")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with subprocess.Popen(  # noqa: S603 - our own programs
            command,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # A Ctrl-C is ours to pass on: a second one would keep a trial from removing what it started.
            start_new_session=True,
        ) as process:
            until = time.monotonic() + seconds
            while True:
                try:
                    out, err = process.communicate(timeout=LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if not self.stopped.is_set() and time.monotonic() < until:
                        continue
                _end(process)
                raise TrialError("stopped" if self.stopped.is_set() else f"no answer within {seconds:.0f} s")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _write(self, name: str, text: str) -> None:
        """Writes a source so that compiled code of its other form is never taken for its own.

        A compiled module is known by its source's size and whole second: another second for every writing.
        """
        path = self.root / name
        path.write_text(text)
        at = path.stat().st_mtime + next(self.ticks)
        os.utime(path, (at, at))


@contextmanager
def copied(checkout: Path, place: Path, copies: int, stop: Event) -> Iterator[tuple[Tree, ...]]:
    """Copies of ``checkout`` below ``place``, removed afterwards. ``place`` is on the same file system: it is linked.

    Raises ``OSError``, and :class:`TrialError` when somebody else is at ``place``.
    """
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place), ExitStack() as stack:
        roots = [place / f"checkout-{one}" for one in range(1, copies + 1)]
        yield tuple(stack.enter_context(_copied(checkout, root, stop)) for root in roots)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrialError(f"defects are being seeded in {place} already: wait until that is over") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _copied(checkout: Path, root: Path, stop: Event) -> Iterator[Tree]:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    try:
        for name in COPIED:
            source = checkout / name
            if source.is_dir():
                shutil.copytree(source, root / name, symlinks=True)
            else:
                shutil.copy2(source, root / name)
        for name in BUILT:
            source, target = checkout / "build" / name, root / "build" / name
            if source.is_dir():
                shutil.copytree(source, target, copy_function=os.link)
            elif source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, target)
        _environment(checkout / ".venv", root)
        yield Tree(root, stopped=stop)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _environment(venv: Path, root: Path) -> None:
    """The checkout's virtual environment, file by file a hard link, but for the one that says where the sources are."""
    shutil.copytree(venv, root / ".venv", symlinks=True, copy_function=os.link)
    named = 0
    for path in (root / ".venv").glob("lib/python*/site-packages/clawmates.pth"):
        path.unlink()
        path.write_text(f"{root / 'src'}\n")
        named += 1
    if named != 1:
        raise TrialError("the virtual environment does not say where the sources are: run `make setup`")


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would, so that a trial removes what it started; then the hard way."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _last(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
