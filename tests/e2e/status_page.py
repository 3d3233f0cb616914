#!/usr/bin/env python3
"""Looks at the status page in a headless Chromium, over the DevTools protocol through a pipe.

status_page.py CHROMIUM PROFILE NODE MINER STARTED SHOTS

Checks the page at the URL NODE (of a node with one miner) on a phone and on a desk, creates the file STARTED, waits
until a second miner's link appears without a reload, and leaves pictures in the directory SHOTS.  Then checks the
page of the first miner at the URL MINER.  Exit status 0, or 1 with a
sentence.
"""

import json
import os
import subprocess
import sys
import time

PATIENCE = 120  # seconds for anything to appear; only a broken page takes that long
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESK = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
HOSTILE = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>"


class Failed(Exception):
    pass


class Browser:
    """A Chromium whose commands and events go over the file descriptors 3 and 4, each ended by a NUL."""

    def __init__(self, program, profile):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def wire():
            # By way of high numbers: 3 and 4 may be ends of the very pipes that have to come there.
            high_in, high_out = os.dup2(to_read, 60), os.dup2(from_write, 61)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
             "--disable-sync", "--remote-debugging-pipe", "--user-data-dir=" + profile, "about:blank"],
            preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.out, self.source = to_write, from_read
        self.rest, self.number, self.session, self.events = b"", 0, None, []

    def receive(self):
        while b"\0" not in self.rest:
            got = os.read(self.source, 65536)
            if not got:
                raise Failed("the browser ended")
            self.rest += got
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise Failed(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, what):
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise Failed(f"the page never had {what}; it says:\n{self.value('document.body.innerText')}")
            time.sleep(0.1)

    def shot(self, path):
        import base64
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


def fits(browser, width):
    over = browser.value("""[...document.querySelectorAll('body *')].filter(
        e => e.getBoundingClientRect().right > WIDTH + 1 && !(e.closest('thead')
            && getComputedStyle(e.closest('thead')).position === 'absolute')) // which is there for screen readers alone
        .map(e => e.tagName + ' ' + e.id + ' ' + e.textContent.slice(0, 40)).slice(0, 5)""".replace("WIDTH", str(width)))
    wide = browser.value("document.documentElement.scrollWidth")
    check(wide <= width and not over, f"at {width} pixels the page is {wide} wide; too wide: {over}")


def shows_the_first_miner(browser):
    browser.wait("document.getElementById('live') && document.getElementById('live').dataset.state === 'live'", "a snapshot")
    browser.wait("document.querySelectorAll('#links tr').length === 1", "one link")
    row = browser.value("document.querySelector('#links tr').innerText")
    for text in ("127.0.0.1:", "post-quantum", "X25519MLKEM768", "ML-DSA-87", "pqlink-miner/1"):
        check(text in row, f"the link does not say {text}: {row}")
    browser.wait("document.querySelectorAll('#miners tr').length === 1", "the miner")
    check("first" in browser.value("document.getElementById('miners').innerText"), "the miner has no name")
    check("Ready" in browser.value("document.getElementById('ready').innerText"), "the page does not say ready")
    check("hybrid" in browser.value("document.getElementById('posture').innerText"), "the page names no policy")
    check("Expires" in browser.value("document.getElementById('keys').innerText"), "the page says nothing of expiry")
    check("sha256:" in browser.value("document.getElementById('keys').innerText"), "the page has no fingerprint")


def lives(browser):
    """Facts change, and it is still the same document."""
    browser.value("window.sameDocument = true")
    tile = "[...document.querySelectorAll('#tiles div')].find(d => d.innerText.startsWith('Hash rate')).innerText"
    browser.wait(f"/ [kMGT]H\\/s/.test({tile})", "a hash rate")
    before = browser.value(tile)
    browser.wait(f"{tile} !== {json.dumps(before)}", "another hash rate")
    uptime = browser.value("document.getElementById('uptime').textContent")
    browser.wait(f"document.getElementById('uptime').textContent !== {json.dumps(uptime)}", "another time")


def shows_the_second_miner(browser, started):
    with open(started, "w", encoding="utf-8"):
        pass
    browser.wait("document.querySelectorAll('#links tr').length === 2", "the second link")
    browser.wait("document.getElementById('miners').innerText.includes('second')", "the second miner")
    check(browser.value("window.sameDocument === true"), "the page was loaded anew")


def keeps_text_text(browser):
    """Every text of a snapshot is replaced by HTML; nothing of it may become an element."""
    browser.value("""(async () => {
        source.close();
        const hostile = (v, k) => typeof v === 'string' && k !== 'service' && k !== 'kind' ? %s
            : Array.isArray(v) ? v.map(x => hostile(x)) : v && typeof v === 'object'
            ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, hostile(x, k)])) : v;
        const s = hostile(await (await fetch('/snapshot')).json());
        s.health.ready = false;
        s.health.missing = [%s];
        s.health.conditions[%s] = {ok: false, reason: %s};
        s.downgrades = {count: 1, last: [{time_ms: 0, address: %s, reason: %s, protocol: %s, group: %s}]};
        draw(s);
        s.service = 'mine';
        s.view = {results: {}, job: {id: %s, difficulty: %s}, node: %s, state: %s, backend: %s};
        draw(s);
    })()""" % ((json.dumps(HOSTILE),) * 13))
    check(browser.value("document.querySelectorAll('main img, main script, main [onerror]').length") == 0,
          "a peer's text became HTML")
    check(browser.value("window.pwned === undefined"), "a peer's text ran as a script")
    check(browser.value("document.getElementById('links').innerText").count("<img src=x") > 2,
          "the text of the links is not shown as it is")


def shows_a_miner(browser):
    browser.wait("document.getElementById('live') && document.getElementById('live').dataset.state === 'live'",
                 "a snapshot of the miner")
    browser.wait("document.getElementById('work').innerText.includes('mining')", "that the miner mines")
    check(browser.value("document.getElementById('service').textContent") == "mine", "the page is not the miner's")
    row = browser.value("document.querySelector('#links tr').innerText")
    for text in ("to 127.0.0.1:", "X25519MLKEM768", "theirs ML-DSA-87", "pin"):
        check(text in row, f"the miner's link does not say {text}: {row}")


def heard_nothing_bad(browser, url):
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = params["request"]["url"]
            check(asked.startswith((url, "data:")), f"the page asked for {asked}")
        check(method != "Runtime.exceptionThrown", f"a script failed: {params}")
        check(method != "Log.entryAdded" or params["entry"]["level"] != "error", f"the browser complains: {params}")
        check(method != "Runtime.consoleAPICalled", f"a script wrote to the console: {params}")


def run(program, profile, url, miner, started, shots):
    browser = Browser(program, profile)
    try:
        browser.open()
        browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
        browser.call("Page.navigate", url=url)
        shows_the_first_miner(browser)
        lives(browser)
        fits(browser, PHONE["width"])
        shows_the_second_miner(browser, started)
        fits(browser, PHONE["width"])
        browser.shot(os.path.join(shots, "phone.png"))
        browser.call("Emulation.setDeviceMetricsOverride", **DESK)
        browser.shot(os.path.join(shots, "desk.png"))
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        browser.shot(os.path.join(shots, "dark.png"))
        fits(browser, DESK["width"])
        keeps_text_text(browser)
        browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
        fits(browser, PHONE["width"])
        heard_nothing_bad(browser, url)
        browser.events.clear()
        browser.call("Page.navigate", url=miner)
        shows_a_miner(browser)
        fits(browser, PHONE["width"])
        heard_nothing_bad(browser, miner)
    finally:
        browser.process.kill()
        browser.process.wait()


def main():
    try:
        run(*sys.argv[1:])
    except Failed as failure:
        print("FAILED:", failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
