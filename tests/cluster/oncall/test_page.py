"""The page for people on call, as people use it: in Chromium, on a phone and on a desk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from infra.local.toolchain.system import ensure_system
from runbooks.serve.people import People
from tests.cluster.oncall.receiver import ASKS, Receiver, effects, receiving, secrets
from tests.cluster.oncall.test_restart import message, send
from vitalops.ports.clock import SystemClock
from vitalops.ports.progress import SilentProgress

PHONE, DESK = (320, 640), (1280, 800)
MILLISECONDS = 30_000
expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = ensure_system(["chromium"], SilentProgress())["chromium"]
    with sync_playwright() as playwright:
        # Root has no sandbox of its own; what is shown is our own page, on loopback.
        found = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        yield found
        found.close()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiving(tmp_path_factory.mktemp("receiver")) as found:
        yield found


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    # The certificate is of the tests' own authority; that it is right is tested elsewhere.
    context = browser.new_context(
        viewport={"width": width, "height": height}, ignore_https_errors=True, color_scheme="dark"
    )
    found = context.new_page()
    found.set_default_timeout(MILLISECONDS)
    problems: list[str] = []

    def note(said: ConsoleMessage) -> None:
        # What is refused is refused with a status, which browsers call an error.
        if said.type in ("error", "warning") and "409" not in said.text:
            problems.append(said.text)

    found.on("console", note)
    found.on("pageerror", lambda error: problems.append(str(error)))
    yield found
    context.close()
    assert problems == []


def log_in(page: Page, receiver: Receiver, name: str) -> None:
    token = People(secrets(receiver.folder), SystemClock()).add(name)
    page.goto(receiver.url)
    expect(page).to_have_url(f"{receiver.url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


def fits(page: Page) -> None:
    """Nothing is wider than the window, and what is to be touched is large enough for a finger."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels wider than the window"
    for button in page.get_by_role("button").all():
        if button.is_visible():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, button.inner_text()


def contrast(page: Page) -> float:
    """The least contrast of text on its background (WCAG 2.2, 1.4.3 asks for 4.5)."""
    return float(
        page.evaluate(
            """() => {
              const parse = (c) => (c.match(/[0-9.]+/g) || []).map(Number);
              const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255;
                return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
              const behind = (e) => { for (; e; e = e.parentElement) {
                const c = parse(getComputedStyle(e).backgroundColor);
                if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
              let least = 21;
              for (const e of document.querySelectorAll("body *")) {
                if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
                const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
                least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
              }
              return least;
            }"""
        )
    )


def test_an_alert_is_seen_approved_and_told(page: Page, receiver: Receiver, tmp_path: Path) -> None:
    log_in(page, receiver, "anne")
    number = time.time_ns() % 10**9
    assert send(receiver, message(ASKS, number)) == 200
    # It comes by itself: nobody reloads the page.
    approve = page.get_by_role("button", name="Approve disturb-it")
    expect(approve).to_be_visible()
    expect(page.locator("#incidents")).to_contain_text("waits for approval")
    fits(page)
    assert contrast(page) >= 4.5
    page.emulate_media(color_scheme="light")
    assert contrast(page) >= 4.5
    page.screenshot(path=tmp_path / "waiting.png", full_page=True)

    run = page.locator("#approvals h3 a").inner_text()
    reason = page.get_by_label("Reason (needed to reject)")
    reason.fill("it may")
    reason.press("Tab")  # by keyboard alone
    expect(approve).to_be_focused()
    page.keyboard.press("Enter")
    ended = page.locator("#ended article").filter(has_text=run)
    expect(ended).to_contain_text("3 of 3 steps done")
    expect(ended).to_contain_text("succeeded")
    expect(approve).to_have_count(0)
    timeline = page.locator("#timeline")
    expect(timeline).to_contain_text("by anne")
    expect(timeline).to_contain_text("finished")
    assert [line for line in effects(receiver.effects) if line.startswith(run)] == [
        f"{run} {step}" for step in ("first", "second", "third")
    ]

    assert send(receiver, message(ASKS, number, "resolved")) == 200
    expect(page.locator("#incidents")).to_contain_text("No incident is open")
    ended.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Journal")).to_be_visible()
    expect(page.locator("main")).to_contain_text("it may")
    fits(page)
    page.screenshot(path=tmp_path / "operation.png", full_page=True)


def test_everything_is_halted_from_the_page(page: Page, receiver: Receiver, tmp_path: Path) -> None:
    log_in(page, receiver, "noel")
    page.locator("#halt summary").click()
    page.get_by_label("Why halt everything?").fill("something is odd")
    page.get_by_role("button", name="Halt everything").click()
    banner = page.get_by_role("alert").filter(has_text="HALTED")
    expect(banner).to_contain_text("by noel: something is odd")
    number = time.time_ns() % 10**9
    assert send(receiver, message(ASKS, number)) == 200
    expect(page.locator("#incidents")).to_contain_text("stored and not acted on")
    fits(page)
    assert contrast(page) >= 4.5
    page.screenshot(path=tmp_path / "halted.png", full_page=True)
    page.locator("#halt summary").click()
    page.get_by_label("Why may everything go on?").fill("it is not")
    page.get_by_role("button", name="Lift the halt").click()
    expect(banner).to_have_count(0)
    page.get_by_role("button", name="Reject disturb-it").click()
    expect(page.get_by_role("alert")).to_contain_text("needs a reason")
    page.get_by_label("Reason (needed to reject)").fill("not now")
    page.get_by_role("button", name="Reject disturb-it").click()
    expect(page.locator("#approvals")).to_contain_text("Nothing waits")
    assert send(receiver, message(ASKS, number, "resolved")) == 200
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{receiver.url}/login")
