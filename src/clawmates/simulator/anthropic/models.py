"""Which models exist, and what the newer ones no longer take.

platform.claude.com/docs/en/about-claude/models/overview, and the migration guide beside it: prefilled answers are
refused from version 4.6 on, sampling parameters by Opus 4.7 and all of version 5 (when they are not the default),
system messages within a conversation are taken by Opus 4.8 and all of version 5.
"""

from __future__ import annotations

import re

_MODEL = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d)(?:-(\d))?(-\d{8})?")
_PREFILL_ENDED = (4, 6)
_SAMPLING_ENDED = (4, 7)
_SYSTEM_BEGAN = (4, 8)


def _version(name: str) -> tuple[int, int] | None:
    found = _MODEL.fullmatch(name)
    return (int(found[2]), int(found[3] or 0)) if found is not None else None


def exists(name: str) -> bool:
    """Whether the documentation has such a name."""
    return _version(name) is not None or name == "claude-mythos-preview"


def takes_prefill(name: str) -> bool:
    """Whether the last message may be the assistant's."""
    return (_version(name) or _PREFILL_ENDED) < _PREFILL_ENDED


def takes_sampling(name: str) -> bool:
    """Whether temperature, top_p and top_k may differ from their defaults."""
    return (_version(name) or _SAMPLING_ENDED) < _SAMPLING_ENDED


def takes_system(name: str) -> bool:
    """Whether a message may have the role ``system``."""
    return (_version(name) or (0, 0)) >= _SYSTEM_BEGAN
