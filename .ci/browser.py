"""Walks the portal and the console of a running instance in Chromium. Called by .ci/browser.

    browser.py ADDRESS [FOLDER]
"""

import json
import os
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

from axe_playwright_python import sync_playwright as axe_of
from playwright.sync_api import sync_playwright

BASE, *rest = sys.argv[1:]
FOLDER = pathlib.Path(rest[0]) if rest else None
KEY = os.environ["TRIBUTARY_OPERATOR_KEY"]
AXE = (pathlib.Path(axe_of.__file__).parent / "axe.min.js").read_text()
# The rules of WCAG 2.2, levels A and AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1280, "height": 900}

wrong = []
seen = 0


def api(method, path, body=None, raw=False):
    """Asks the API as an operator with every scope."""
    request = urllib.request.Request(BASE + path, method=method)
    request.add_header("authorization", f"Bearer {KEY}")
    data = None
    if body is not None:
        request.add_header("content-type", "application/json")
        data = json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as answer:
        text = answer.read()
    return text if raw else json.loads(text or "null")


def until(what, seconds=30):
    """Waits for something that happens behind a request, such as a mail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit("it did not come about in time")


def link(email):
    def mailed():
        for mail in api("GET", "/dev/outbox")["items"]:
            found = re.search(r"https?://\S+/sign-in/link\?token=\S+", mail["text"])
            if mail["to"] == email and found:
                return found.group(0)
        return None

    return until(mailed)


def sign_in(page, email):
    """Signs in as a person does: address, mail, link, button."""
    page.goto(BASE + "/")
    page.get_by_label("Email address").fill(email)
    page.get_by_role("button", name="Mail me a link").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()
    page.goto(link(email))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Pages", exact=True).wait_for()


def look(page, name):
    """What has to be true of every page, in both colours and on the narrowest screen."""
    global seen
    seen += 1
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size, view in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(view)
            page.evaluate(AXE)
            found = page.evaluate(
                "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES
            )
            for violation in found["violations"]:
                where = [node["target"] for node in violation["nodes"]][:3]
                wrong.append(f"{name} ({scheme}, {size}): {violation['id']}: {violation['help']} at {where}")
            if FOLDER:
                page.screenshot(path=FOLDER / f"{name}-{scheme}-{size}.png", full_page=True)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wrong.append(f"{name}: {over} pixels wider than a screen of {NARROW['width']}")
    # Written from right to left it stays within the screen too.
    page.evaluate("document.documentElement.dir = 'rtl'")
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if over > 0:
        wrong.append(f"{name}: {over} pixels too wide from right to left")
    page.evaluate("document.documentElement.dir = 'ltr'")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)


def visited(browser):
    """A browser of its own, whose console is listened to."""
    # Without motion: a colour that is on its way to another has a contrast of its own.
    context = browser.new_context(base_url=BASE, viewport=WIDE, locale="en-GB", reduced_motion="reduce")
    page = context.new_page()

    def said(message):
        # That a form was refused or a page is not there, which is what was asked for, is no fault.
        is_refusal = re.search(r"status of (404|422)", message.text)
        if message.type == "error" and not is_refusal:
            wrong.append(f"{page.url}: {message.text}")

    page.on("console", said)
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    return page


def prepare():
    """A program, a partner with somebody who may sign in."""
    program = api(
        "POST",
        "/v1/programs",
        {"name": "Spring", "currency": "GBP", "attribution": {"model": "last_click", "window_days": 30}},
    )
    id = program["id"]
    plan = {"code": "standard", "hold_days": 0, "components": [{"kind": "percent", "event": "sale", "rate": "0.20"}]}
    api("POST", f"/v1/programs/{id}/plans", plan)
    api("PUT", f"/v1/programs/{id}/default-plan", {"plan": "standard"})
    partner = api(
        "POST",
        "/v1/partners",
        {"name": "Ada's Reviews", "email": "ada@reviews.example", "country": "GB", "kind": "affiliate"},
    )["id"]
    api("POST", f"/v1/partners/{partner}/enrolments", {"program": id})
    api("POST", f"/v1/partners/{partner}/members", {"name": "Mary", "email": "mary@reviews.example", "role": "owner"})
    return id, program["postback_token"], partner


class Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def click(url):
    """Follows a partner's link as a visitor; the click id that the shop gets."""
    request = urllib.request.Request(url, headers={"user-agent": "Mozilla/5.0"})
    try:
        urllib.request.build_opener(Unfollowed).open(request)
    except urllib.error.HTTPError as answer:
        query = urllib.parse.urlsplit(answer.headers["location"]).query
        return urllib.parse.parse_qs(query)["tclid"][0]
    raise SystemExit(f"{url} leads nowhere")


def partner(browser, program, token):
    page = visited(browser)
    page.goto(BASE + "/sign-in")
    look(page, "sign-in")
    sign_in(page, "mary@reviews.example")
    look(page, "portal-empty")
    page.get_by_role("link", name="Links and coupons").click()
    page.get_by_label("Where it leads").fill("no address")
    page.get_by_role("button", name="Make the link").click()
    assert page.get_by_label("Where it leads").input_value() == "no address", "what was typed is gone"
    assert page.evaluate("document.activeElement.id") == "summary", "the reader is not taken to what is wrong"
    look(page, "portal-links-refused")
    page.get_by_label("Where it leads").fill("https://shop.example/roses")
    page.get_by_role("button", name="Make the link").click()
    page.get_by_text("The link is ready.").wait_for()
    url = page.locator("td code").first.inner_text()
    look(page, "portal-links")
    sale = {"transaction_id": "order-1001", "amount": "249.00", "currency": "GBP", "click_id": click(url)}
    query = urllib.parse.urlencode({"token": token})
    api("POST", f"/v1/postbacks/{program}?{query}", sale)

    def credited():
        page.goto(BASE + "/portal/conversions")
        return page.get_by_text("GBP 49.80").count()

    until(credited)
    look(page, "portal-conversions")
    page.locator("td a").first.click()
    page.get_by_text("Component 1: rate 0.20 of 249.00 GBP").wait_for()
    look(page, "portal-conversion")
    page.goto(BASE + "/portal")
    look(page, "portal-home")
    # The whole page is reached by keyboard, beginning with the way past the navigation.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop is not the way to the content"
    for path, name in (("/portal/deals", "portal-deals"), ("/portal/deals/new", "portal-deal-new"), ("/portal/leads", "portal-leads")):
        page.goto(BASE + path)
        look(page, name)
    page.goto(BASE + "/sessions")
    look(page, "sessions")
    foreign = page.goto(BASE + "/console")
    assert foreign.status == 404, f"a partner reads the console: {foreign.status}"
    look(page, "not-found")


def vendor(browser, partner_id):
    page = visited(browser)
    sign_in(page, "operator@example.com")
    look(page, "console-home")
    page.get_by_role("link", name="Partners", exact=True).click()
    look(page, "console-partners")
    page.get_by_role("link", name="Ada's Reviews").click()
    look(page, "console-partner")
    page.get_by_text("Suspend", exact=True).click()
    page.get_by_role("button", name="Yes: Suspend").click()
    page.get_by_text("The partner is suspended.").wait_for()
    assert api("GET", f"/v1/partners/{partner_id}")["status"] == "suspended"
    page.get_by_role("link", name="Operators").click()
    look(page, "console-operators")
    page.get_by_text("First operator", exact=True).first.click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


with sync_playwright() as playwright:
    if FOLDER:
        FOLDER.mkdir(parents=True, exist_ok=True)
    chromium = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
    program_id, postback_token, its_partner = prepare()
    partner(chromium, program_id, postback_token)
    vendor(chromium, its_partner)
    chromium.close()

for line in wrong:
    print(line)
if wrong:
    sys.exit(f"{len(wrong)} faults on {seen} pages")
print(f"{seen} pages: no fault of axe-core's, none on the console, none too wide")
