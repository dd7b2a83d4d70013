"""The room of bots: all of its pages and calls."""

from __future__ import annotations

from fastapi import APIRouter

from clawmates.control.bots import choosing, launch, live, manage, secrets

room = APIRouter()
for _part in (launch, secrets, choosing, live, manage):  # /bots/new before /bots/{bot}
    room.routes.extend(_part.room.routes)  # FastAPI would look into each part anew at every request
