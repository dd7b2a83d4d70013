"""Which call goes wrong next, and how."""

from __future__ import annotations

from dataclasses import dataclass

from clawmates.simulator.model import Failure, Fault


@dataclass(slots=True)
class _Planned:
    fault: Fault
    method: str
    left: int
    met: bool = False


class Faults:
    """Planned faults of one service, in the order in which they were set."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def plan(self, fault: Fault, *, times: int, method: str = "") -> None:
        """The next ``times`` calls of ``method`` (empty: any) meet ``fault``."""
        self._planned.append(_Planned(fault, method.lower(), times))

    def take(self, method: str, chat_id: int = 0, *, styled: bool = True) -> Fault | None:
        """The fault of a call that has just come, used up once. Styles are wrong only where there are some."""
        for planned in self._planned:
            if planned.method not in {"", method.lower()} or planned.fault.chat_id not in {0, chat_id}:
                continue
            if planned.fault.failure is Failure.CANT_PARSE_ENTITIES and not styled:
                continue
            planned.left -= 1
            planned.met = True
            if planned.left <= 0:
                self._planned.remove(planned)
            return planned.fault
        return None

    def clear(self) -> int:
        """Nothing goes wrong any more; how many of the faults no call has met."""
        unmet = sum(not planned.met for planned in self._planned)
        self._planned.clear()
        return unmet
