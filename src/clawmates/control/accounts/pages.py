"""The room of accounts, as browsers see it."""

from __future__ import annotations

from fastapi import APIRouter

from clawmates.control.accounts import calls, entry, settings

router = APIRouter()
for _part in (entry, calls, settings):
    router.routes.extend(_part.router.routes)  # FastAPI would look into each part anew at every request
