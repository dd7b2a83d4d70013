"""The only probes that may show nothing, each with the reason why no weak control need succeed with it.

A test holds a second copy of the names: a probe joins the list on purpose only. Every other one must succeed in its
weak control, or nothing is claimed; else a control that has quietly become strong would make the list longer by itself.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAY_SHOW_NOTHING: Mapping[str, str] = MappingProxyType(
    {
        "load-a-module": "kernels are built without modules, or locked down so that not even root may load one",
        "memory-of-the-machine": "kernels are built without /dev/mem, or keep root away from it",
        "core-of-the-kernel": "kernels are built without /proc/kcore",
        "sysrq-trigger": "kernels are built without orders past all rights",
        "calls-of-32-bit-programs": "kernels are built without the entry for them, and other processors never had one",
        "disk-of-the-host": "a machine may have no disk of its own that has a device number",
        "all-processors": "a machine on which others compute gives nobody more than a share",
    }
)
