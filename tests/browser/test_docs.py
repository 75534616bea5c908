"""The page of the API, in a real browser: it works, and speaks to no other machine."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from front_service.api.pages import FILES
from tests.front.conftest import desk as desk  # noqa: PLC0414  # a fixture, shared by its name
from tests.front.desk import Desk
from tests.house.sources import ROOT
from tests.support.chromium import open_browser

STATIC: Final = ROOT / "front_service" / "static"
VENDOR: Final = STATIC / "vendor"
PATIENCE_MS: Final = 30_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as browser:
        yield browser


async def test_a_reader_finds_a_route_and_tries_it(
    browser: Browser, desk: Desk, tmp_path: Path
) -> None:
    """From opening the page to a ticket, without a request to anywhere else or a complaint."""
    asked, complaints = list[str](), list[str]()
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    await page.goto(f"{desk.url}/docs")
    await try_it(page)
    await page.screenshot(path=tmp_path / "docs.png", full_page=True)

    assert len(desk.store.views) == 1
    assert [url for url in asked if not url.startswith((f"{desk.url}/", "data:"))] == []
    assert complaints == []


async def try_it(page: Page) -> None:
    """Submit ``demo.echo`` as a person would."""
    block = page.locator("#operations-submit-submit_demo_echo")
    await block.locator("button.opblock-summary-control").click()
    await block.locator("button.try-out__btn").click()
    await block.locator("textarea.body-param__text").fill('{"payload": "from a page"}')
    await block.locator("button.execute").click()
    answer = block.locator(".live-responses-table tr.response td.response-col_status")
    await expect(answer.first).to_contain_text("202", timeout=PATIENCE_MS)


async def test_the_policy_of_the_page_lets_nothing_else_in(desk: Desk) -> None:
    """Whatever a script of somebody else's might want, the browser refuses it."""
    async with desk.session.get(f"{desk.url}/docs") as response:
        policy = response.headers["Content-Security-Policy"]

    rules = {one.split()[0]: one.split()[1:] for one in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == rules["connect-src"] == ["'self'"]
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == ["'none'"]


@pytest.mark.parametrize("name", FILES)
async def test_each_file_of_the_page_is_served_as_it_is(desk: Desk, name: str) -> None:
    """Whole, with its type, and not a second time to somebody who has it."""
    url = f"{desk.url}/docs/{name.rpartition('/')[2]}"
    async with desk.session.get(url) as response:
        body, etag = await response.read(), response.headers["ETag"]
        assert response.content_type == FILES[name]
    async with desk.session.get(url, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with desk.session.head(url) as response:
        assert response.headers["Content-Length"] == str(len(body))

    assert body == (STATIC / name).read_bytes()


@pytest.mark.parametrize("name", ["MANIFEST", "docs.html", "..%2fdocs.html", "%2e%2e%2fapp.py"])
async def test_nothing_else_is_served(desk: Desk, name: str) -> None:
    """The folder is no file server."""
    async with desk.session.get(f"{desk.url}/docs/{name}") as response:
        assert response.status == 404


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    """Each file by its digest, its licence beside it; no more code than that."""
    lines = (VENDOR / "MANIFEST").read_text("utf-8").splitlines()[1:]
    stated = {line.split()[0]: line.split() for line in lines}

    for name, words in stated.items():
        assert sha256((VENDOR / name).read_bytes()).hexdigest() in words
        assert "Apache-2.0," in words
    assert {path.name for path in VENDOR.iterdir()} == {
        *stated,
        *("LICENSE", "NOTICE", "MANIFEST", "swagger-ui-bundle.js.LICENSE.txt"),
    }
    assert "://" not in (VENDOR / "MANIFEST").read_text("utf-8")
