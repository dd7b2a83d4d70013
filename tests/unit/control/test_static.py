from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.support.control import a_place

from clawmates.control import static
from clawmates.control.pages.language import back_to

BOUND = 60_000
"""Bytes of all style and script together, before compression (issue 6)."""


def test_all_style_and_script_is_small() -> None:
    sizes = {name: len(file.body) for name, file in static.files().items() if name.endswith((".css", ".js"))}
    assert "style.css" in sizes
    assert sum(sizes.values()) < BOUND, sizes


@pytest.mark.any_database
async def test_a_file_is_kept_for_good_under_its_own_fingerprint_only(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.browser() as browser:
        ours = await browser.get(static.asset("style.css"), headers={"Accept-Encoding": "identity"})
        assert ours.headers["content-type"] == "text/css; charset=utf-8"
        assert "immutable" in ours.headers["cache-control"]
        packed = await browser.get(static.asset("style.css"), headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == ours.content == gzip.decompress(static.files()["style.css"].packed)
        # Another replica may be older: its pages still find their style, and do not keep ours under its name.
        other = await browser.get("/static/0123456789abcdef/style.css")
        assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")
        head = await browser.head(static.asset("page.js"))
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.any_database
@pytest.mark.parametrize("name", ["", "..%2Fweb.py", "%2e%2e/web.py", "..%5cweb.py", "nothing.css", "style.css/", "."])
async def test_nothing_else_is_served_and_nothing_is_listed(name: str, tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.browser() as browser:
        for address in (f"/static/{static.fingerprint()}/{name}", f"/static/{name}"):
            assert (await browser.get(address)).status_code == 404, address


@pytest.mark.any_database
async def test_a_language_is_chosen_for_this_browser_and_the_way_back_stays_ours(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.browser() as browser:
        answer = await browser.post("/language", data={"language": "de", "back": "/nowhere"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/nowhere")
        cookie = answer.headers["set-cookie"]
        for rule in ("__Host-language=de", "Secure", "HttpOnly", "Path=/", "SameSite=lax"):
            assert rule in cookie
        assert "Domain" not in cookie
        assert 'lang="de"' in (await browser.get("/nowhere")).text
        assert (await browser.post("/language", data={"language": "tlh"})).status_code == 400


@pytest.mark.parametrize("address", ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/é"])
def test_an_address_elsewhere_is_no_way_back(address: str) -> None:
    assert back_to(address) == "/"
    assert back_to("/bots/b-1") == "/bots/b-1"
