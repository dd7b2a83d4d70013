"""The room of accounts, as browsers see it."""

from __future__ import annotations

from fastapi import APIRouter

from clawmates.control.accounts import calls, entry, settings

router = APIRouter()
for _part in (entry, calls, settings):
    router.include_router(_part.router)
