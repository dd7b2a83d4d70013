"""Calls into the kernel that a mate never needs, and that have been the way out before."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from clawmates.proofs.probes.inside.frame import Control, Marks, probe
from clawmates.proofs.probes.inside.kernel import libc, system_call

SESSION = -3
USER_MODE_ONLY = 1
"""A flag of userfaultfd(2) that makes it need no right."""
NO_RANDOMNESS = 0x0040000
CTRL_ALT_DEL = 0x89ABCDEF
"""LINUX_REBOOT_CMD_CAD_ON: what those keys do; needs the right to reboot and does not."""


@probe(Control.UNFILTERED)
def add_a_key(_marks: Marks) -> str:
    """Put a key into a keyring of the kernel, which namespaces do not divide."""
    kind, name, data = (ctypes.c_char_p(text) for text in (b"user", b"probe", b"x"))
    system_call("add_key", kind, name, data, 1, SESSION)
    return "added"


@probe(Control.UNFILTERED, errno.ENOKEY)
def find_a_keyring(_marks: Marks) -> str:
    """Find the session's keyring."""
    system_call("keyctl", 0, SESSION, 1)
    return "found"


@probe(Control.ROOT)
def load_a_bpf_map(_marks: Marks) -> str:
    """Make a BPF map, the first step to run code in the kernel."""
    wanted = ctypes.create_string_buffer(struct.pack("=IIIII", 2, 4, 4, 1, 0).ljust(72, b"\0"))
    os.close(system_call("bpf", 0, wanted, 72))
    return "made"


@probe(Control.ROOT)
def watch_by_counters(_marks: Marks) -> str:
    """Open a performance counter, from which other programs' secrets have been told."""
    wanted = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 0).ljust(112, b"\0"))
    os.close(system_call("perf_event_open", wanted, 0, -1, -1, 0))
    return "opened"


@probe(Control.UNFILTERED)
def ring_of_io_uring(_marks: Marks) -> str:
    """Set up io_uring, which makes calls that no filter sees."""
    os.close(system_call("io_uring_setup", 1, ctypes.create_string_buffer(120)))
    return "set up"


@probe(Control.UNFILTERED)
def faults_in_user_space(_marks: Marks) -> str:
    """Handle page faults oneself (userfaultfd), the tool that wins races in the kernel."""
    os.close(system_call("userfaultfd", USER_MODE_ONLY))
    return "opened"


@probe(Control.UNFILTERED)
def memory_without_randomness(_marks: Marks) -> str:
    """Switch off address randomisation (personality)."""
    libc("personality", ctypes.c_ulong(NO_RANDOMNESS))
    return "switched off"


@probe(Control.ROOT)
def watch_all_files(_marks: Marks) -> str:
    """Be told of every file that anybody opens (fanotify)."""
    os.close(libc("fanotify_init", 0x4, os.O_RDONLY))
    return "opened"


@probe(Control.ROOT)
def load_a_module(_marks: Marks) -> str:
    """Load a kernel module; the file is empty, so that even who may load one loads none."""
    empty = os.memfd_create("empty")
    try:
        system_call("finit_module", empty, ctypes.c_char_p(b""), 0)
    except OSError as error:
        if error.errno in {errno.ENOEXEC, errno.EINVAL}:
            return "the kernel looked into the file"
        raise
    return "loaded"


@probe(Control.ROOT)
def reboot_the_machine(_marks: Marks) -> str:
    """Use the right to reboot; what is asked for only says what Ctrl-Alt-Del does."""
    libc("reboot", ctypes.c_int(CTRL_ALT_DEL - (1 << 32)))
    return "may reboot"


@probe(Control.ROOT)
def set_the_clock(_marks: Marks) -> str:
    """Set the machine's time zone (to what it is), which needs the right to set the clock."""
    zone = ctypes.create_string_buffer(8)
    system_call("gettimeofday", None, zone)
    system_call("settimeofday", None, zone)
    return "may set it"


@probe(Control.ROOT)
def switch_on_swap(_marks: Marks) -> str:
    """Switch on swap, which would put memory on disk; the file is none, so that even who may switches none on."""
    empty = os.memfd_create("empty")
    try:
        libc("swapon", f"/proc/self/fd/{empty}".encode(), 0)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOTBLK}:
            return "the kernel looked for swap in the file"
        raise
    return "switched on"


@probe(Control.ROOT)
def read_the_log_of_the_kernel(_marks: Marks) -> str:
    """Read the kernel's log (syslog)."""
    room = ctypes.create_string_buffer(256)
    libc("klogctl", 3, room, 256)
    return "read"
