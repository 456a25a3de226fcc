"""The console in a real Chromium: the auditor's way from the key to the waterfall, with nothing asked of anyone else."""

import shutil

import pytest

from tests.conftest import missing_tool
from tests.serving.conftest import Served, serving, wait_until
from tests.serving.ruled import say

pytestmark = pytest.mark.browser
QUIET = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        missing_tool("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, served):
    context = browser.new_context(viewport={"width": 1180, "height": 900}, base_url=str(served.client.base_url))
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


def sign_in(page, served):
    _, secret = served.make_key("Ann", "audit")
    page.goto("/console")
    page.get_by_label("Key with the scope").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def test_from_the_key_to_the_reasons(page, served):
    sign_in(page, served)
    page.get_by_label("Reasons in").select_option("fr")
    page.get_by_label("Person id").fill("van:0005")
    page.keyboard.press("Enter")
    page.wait_for_selector("svg.waterfall")
    assert page.url.endswith("/console/people")
    assert page.get_by_role("heading", level=1).inner_text() == "van:0005"
    assert page.locator("svg.waterfall.wide:visible").count() == 2
    page.locator("details:not([open]) summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("svg.waterfall.wide:visible").count() == 3
    bar, label = page.locator("svg.waterfall.wide rect").first.bounding_box(), page.locator("svg.waterfall.wide text.label").first.bounding_box()
    assert bar["width"] > 0
    assert label["x"] + label["width"] <= bar["x"]
    page.get_by_role("link", name="affinity 1").first.click()
    assert page.get_by_role("heading", name="Card").is_visible()
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("heading", name="Sign in").is_visible()
    assert page.complaints == []
    assert all(url.startswith((str(served.client.base_url), "data:")) for url in page.asked)
    assert not any("0005" in url for url in page.asked)


def test_a_wrong_key_says_so(page, served):
    page.goto("/console/login")
    page.get_by_label("Key with the scope").fill("aud_wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_no_page_is_wider_than_its_window(page, served, width):
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, served)
    page.get_by_label("Person id").fill("van:0005")
    page.get_by_role("button", name="Show scores").click()
    for address in (None, "/console/models", "/console/models/affinity/1"):
        if address:
            page.goto(address)
        page.wait_for_load_state()  # before its styles are there a page is as wide as it likes
        assert page.evaluate("document.documentElement.scrollWidth") <= width


LONG = "municipal_election_2027_door_to_door_in_the_northern_districts_second_round_with_volunteers"
USE = f"""
[uses.{LONG}]
purpose = "campaign_messages"
channel_class = "offline"
sponsor_type = "political_actor"
jurisdiction = "none"
campaign_id = "{LONG}"
"""


@pytest.mark.parametrize("width", [360, 1180])
def test_long_names_and_forbidden_people_fit_the_window(browser, copied, quick_trial, width):
    (copied.root / "audience.toml").write_text((copied.root / "audience.toml").read_text() + USE)
    say(copied, "van:0006", "objected", "any")
    with serving(copied.root) as (client, app):
        wait_until(lambda: client.get("/readyz").status_code == 200)
        context = browser.new_context(viewport={"width": width, "height": 800}, base_url=str(client.base_url))
        page = context.new_page()
        sign_in(page, Served(client, app))
        for person, use, decided in (("van:0005", LONG, "Allowed"), ("van:0006", LONG, "Forbidden"), ("van:0005", "party_online", None)):
            page.get_by_label("Person id").fill(person)
            page.get_by_label("For").select_option(use)
            page.get_by_role("button", name="Show scores").click()
            page.wait_for_load_state()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            chips = list(page.locator(".decision .chip").all_inner_texts())
            assert chips == ([] if decided is None else [decided])
            assert page.get_by_label("For").input_value() == use, "the form keeps what was asked"
        assert page.get_by_role("alert").is_visible()
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, served, scheme):
    """WCAG 2.2 AA: 4.5 to 1 for text; checked on computed colours of every element that holds words."""
    page.emulate_media(color_scheme=scheme)
    sign_in(page, served)
    page.get_by_label("Person id").fill("van:0005")
    page.get_by_role("button", name="Show scores").click()
    page.wait_for_selector("svg.waterfall")
    page.wait_for_load_state("load")  # with its style sheet: colours are looked at
    low = page.evaluate(
        """() => {
          const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
          const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const ground = (e) => { for (let n = e; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
          const out = [];
          for (const e of document.querySelectorAll("body *")) {
            const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            const style = getComputedStyle(e);
            if (!own || !e.getClientRects().length || style.clipPath !== "none") continue;
            const ink = parse(e instanceof SVGElement ? style.fill : style.color).slice(0, 3);
            const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
            const ratio = (a + 0.05) / (b + 0.05);
            if (ratio < 4.5) out.push(`${e.tagName}.${e.className.baseVal ?? e.className}: ${ratio.toFixed(2)}`);
          }
          return out;
        }"""
    )
    assert low == []


def test_every_field_has_a_name(page, served):
    sign_in(page, served)
    nameless = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), select, button')].filter((e) => !(e.labels?.length || e.textContent.trim())).length"
    )
    assert nameless == 0
