"""Runs a program as at another time of day: ``python image/elsewhen.py SECONDS PROGRAM ARGUMENTS…``.

For rebuilding: whatever of the build asks Python for the time gets another one, so that it would show.
"""

from __future__ import annotations

import datetime as dt
import runpy
import sys
import time


def shift(seconds: float) -> None:
    """Moves every wall clock of this interpreter."""
    real_time, real_ns, real_class = time.time, time.time_ns, dt.datetime

    class Moved(real_class):  # type: ignore[misc, valid-type] # the class itself is what is moved
        """``datetime`` whose ``now`` is another."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            """The moved time."""
            moved: dt.datetime = cls.fromtimestamp(real_time() + seconds, tz)
            return moved

        @classmethod
        def utcnow(cls) -> dt.datetime:
            """The moved time, without a zone."""
            return cls.now(dt.UTC).replace(tzinfo=None)

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    for name in ("localtime", "gmtime"):
        real = getattr(time, name)
        setattr(time, name, lambda at=None, real=real: real(time.time() if at is None else at))
    dt.datetime = Moved  # type: ignore[misc]


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
