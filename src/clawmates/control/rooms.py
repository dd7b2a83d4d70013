"""The rooms that browsers can enter, in the order of the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

ROOMS: tuple[APIRouter, ...] = ()
