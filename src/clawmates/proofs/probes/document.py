"""``docs/probes.md``, made from the probes themselves: ``python -m clawmates.proofs.probes.document``."""

from __future__ import annotations

import sys

from clawmates.proofs.probes.controls import WEAKENINGS
from clawmates.proofs.probes.entry import MODULES, PROBES


def markdown() -> str:
    """The page."""
    titles = [(one.__name__, (one.__doc__ or "").splitlines()[0]) for one in MODULES]
    lines = [
        "# What is tried from inside a container",
        "",
        "Made by `python -m clawmates.proofs.probes.document`; do not edit. A test keeps page and probes together.",
        "",
        f"`clawmates prove --claim isolation` runs {len(PROBES)} probes inside the container of a running bot, as its",
        "user and behind its walls (those of the process that tries are read back first). None is part of the image:",
        "the program goes in through a pipe. Each is run again in a weaker container, started for it on the same host",
        "by the same engine from the same image, and counts only if it succeeds there. What does not succeed there",
        "either, because this kernel does not have it, is listed as *not looked at*. Probes that could do harm ask for",
        "the right and not for the deed: swap is switched on from an empty file, the clock is set to what it is,",
        "settings are opened and not written.",
        "",
        "## The weaker containers",
        "",
        "| control | a sealed container without |",
        "|---|---|",
        *(f"| {name} | {weak.without} |" for name, weak in WEAKENINGS.items()),
    ]
    for module, title in titles:
        mine = [one for one in PROBES.values() if one.attempt.__module__ == module]
        if mine:
            lines += ["", f"## {title.rstrip('.')}", "", "| probe | what it does | must succeed in |", "|---|---|---|"]
            lines += [f"| {one.name} | {one.tried} | {one.control} |" for one in mine]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
