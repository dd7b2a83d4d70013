"""Where a program's output goes, over a /proc of plain files and links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clawmates.node.output import kept_output, log_drivers

if TYPE_CHECKING:
    from pathlib import Path

READ, WRITE, APPEND = "0100000", "0100001", "02102001"
NONE = ("conmon", "-c", "abc", "-l", "none", "--exit-command-arg", "-l", "--exit-command-arg", "k8s-file:/x")


class Processes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mate, self.monitor = folder / "7", folder / "6"
        for process in (self.mate, self.monitor):
            (process / "fd").mkdir(parents=True)
            (process / "fdinfo").mkdir()
        for number in ("1", "2"):
            self.open(self.mate, number, f"pipe:[{number}]", WRITE)
            self.open(self.monitor, f"1{number}", f"pipe:[{number}]", READ)
        self.told(*NONE)

    def open(self, process: Path, number: str, target: str, flags: str) -> None:
        (process / "fd" / number).unlink(missing_ok=True)
        (process / "fd" / number).symlink_to(target)
        (process / "fdinfo" / number).write_text(f"pos:\t0\nflags:\t{flags}\nmnt_id:\t1\n")

    def told(self, *words: str) -> None:
        (self.monitor / "cmdline").write_bytes("\0".join((*words, "")).encode())

    def file(self, flags: str) -> None:
        path = self.folder / "ctr.log"
        path.write_text("")
        self.open(self.monitor, "20", str(path), flags)

    def kept(self) -> tuple[str, ...]:
        return kept_output(self.mate, self.monitor)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


def test_a_monitor_that_throws_everything_away(processes: Processes) -> None:
    assert processes.kept() == ()


@pytest.mark.parametrize("driver", ["k8s-file:/x/ctr.log", "journald", "passthrough"])
def test_a_driver_that_keeps(processes: Processes, driver: str) -> None:
    processes.told("conmon", "-l", driver)
    assert processes.kept() == (driver.partition(":")[0],)


def test_a_second_driver_beside_none(processes: Processes) -> None:
    processes.told("conmon", "-l", "none", "--log-path=journald")
    assert processes.kept() == ("none", "journald")


def test_a_monitor_that_was_told_nothing_is_not_believed(processes: Processes) -> None:
    processes.told("conmon", "-c", "abc")
    assert processes.kept() == ("unknown",)


@pytest.mark.parametrize("flags", [WRITE, APPEND])
def test_a_file_that_the_monitor_writes_whatever_it_was_told(processes: Processes, flags: str) -> None:
    processes.file(flags)
    assert processes.kept() == ("file 20",)


def test_a_file_that_it_only_reads(processes: Processes) -> None:
    processes.file(READ)
    assert processes.kept() == ()


def test_a_pipe_that_somebody_else_reads(processes: Processes) -> None:
    (processes.monitor / "fd" / "12").unlink()
    assert processes.kept() == ("unknown",)


def test_output_into_a_file_without_a_monitor(processes: Processes) -> None:
    processes.open(processes.mate, "2", "/var/log/mate", WRITE)
    assert processes.kept() == ("unknown",)


def test_output_that_goes_nowhere_needs_no_monitor(processes: Processes) -> None:
    processes.told("sh")
    processes.open(processes.mate, "1", os.devnull, WRITE)
    (processes.mate / "fd" / "2").unlink()
    assert processes.kept() == ()


@pytest.mark.parametrize(
    ("words", "drivers"),
    [
        (NONE, ("none",)),
        (("conmon", "--log-path", "k8s-file:/x"), ("k8s-file",)),
        (("conmon", "--log-path=none"), ("none",)),
        (("conmon", "-l"), ()),
        (("conmon", "--log-level", "none"), ()),
    ],
)
def test_what_the_monitor_was_told(words: tuple[str, ...], drivers: tuple[str, ...]) -> None:
    assert log_drivers(words) == drivers
