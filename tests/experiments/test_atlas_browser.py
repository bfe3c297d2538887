"""The atlas in Chromium, driven over the pipe of its DevTools protocol: width, filters, keys, names, network."""

import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest

from experiments import atlas

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path"),
]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SECONDS = 120  # that an answer may take on a busy machine
SHOWN = "[...document.querySelectorAll('.statement')].filter((one) => one.offsetParent)"
ROLES = {"checkbox", "combobox", "searchbox", "button", "link", "image", "table", "heading", "navigation", "form"}


class Browser:
    """A browser with one page; messages are JSON that ends with a zero byte, on the file descriptors 3 and 4."""

    def __init__(self, folder):
        (theirs, self._write), (self._read, answers) = os.pipe(), os.pipe()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}"]
        script = f'exec "$0" "$@" 3<&{theirs} 4>&{answers}'
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(["bash", "-c", script, *command], pass_fds=(theirs, answers), **quiet)
        os.close(theirs)
        os.close(answers)
        self._numbers, self._buffer, self._session, self.events = itertools.count(1), b"", {}, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        until = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], max(0, until - time.monotonic()))[0], "Chromium does not answer"
            received = os.read(self._read, 1 << 16)
            assert received, "Chromium has ended"
            self._buffer += received
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def open(self, url, width=1400, height=900, dark=False):
        """Another page each time, as if typed."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        until = time.monotonic() + SECONDS
        while self.evaluate("location.href == 'about:blank' || document.readyState != 'complete'"):
            assert time.monotonic() < until, f"{url} does not load"
            time.sleep(0.02)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code, text=""):
        for kind in ("keyDown", "keyUp"):
            letters = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **letters)

    def close(self):
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas") / "pages"
    atlas.write_atlas(output=folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_nothing_is_wider_than_a_telephone(pages, browser):
    """Catches a table, a figure, a command or a digest that makes a page scroll sideways."""
    for file in [pages / "index.html", *sorted((pages / "questions").iterdir())]:
        browser.open(file.as_uri(), width=390, height=844)
        width = browser.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, (file.name, width)


def test_labels_of_axes_do_not_touch(pages, browser):
    """Catches ticks that are written over each other, or beyond their axis, where the next column begins."""
    touching = """[...document.querySelectorAll('svg.scale')].filter((scale) => {
      const {left, right, width} = scale.getBoundingClientRect();
      if (!width) return false;
      const boxes = [...scale.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
      return boxes.some((box, i) => box.right > right || box.left < left || (i && boxes[i - 1].right > box.left));
    }).map((scale) => scale.textContent)"""
    for name in ("index.html", "questions/batch_stochastic.html", "questions/backpropagation.html"):
        for width in (390, 1001, 1400):
            browser.open((pages / name).as_uri(), width=width, height=844)
            assert browser.evaluate(touching) == [], (name, width)


def test_headings_stand_above_their_columns(pages, browser):
    """Catches a heading beside what it is of, and columns that differ between the tables of a page."""
    lefts = """[...document.querySelectorAll('table')].map((table) => {
      const text = (node) => { const range = document.createRange(); range.selectNodeContents(node); return range; };
      const word = table.querySelector('td .badge').lastChild;
      return [...table.querySelectorAll('thead th'), word].map((node) => text(node).getBoundingClientRect().x);
    })"""
    browser.open((pages / "questions" / "clipping.html").as_uri())
    tables = browser.evaluate(lefts)
    assert len(tables) == 3
    for found in tables:
        assert found == pytest.approx(tables[0], abs=0.5)
        assert found[1] == pytest.approx(found[-1], abs=2)


def test_light_or_dark_as_the_reader_chose_on_the_site(tmp_path, browser):
    """Catches an atlas that is white in a dark site, and one that cannot follow the system."""
    folder = tmp_path / "atlas"
    atlas.write_atlas(output=folder, home="../index.html")
    paper = "getComputedStyle(document.body).backgroundColor"
    white, black = "rgb(255, 255, 255)", "rgb(20, 24, 30)"
    for page in ("index.html", "questions/clipping.html"):
        browser.open((folder / page).as_uri())
        for mode, in_light, in_dark in (("auto", white, black), ("dark", black, black), ("light", white, white)):
            browser.evaluate(f"localStorage.setItem('mode', '{mode}')")
            for dark in (False, True):
                browser.open((folder / page).as_uri(), dark=dark)
                assert browser.evaluate(paper) == (in_dark if dark else in_light), (page, mode, dark)
    browser.evaluate("localStorage.clear()")


def test_filters_are_in_the_address(pages, browser):
    """Catches a filter that shows what it should not, or that a link does not carry."""
    index = (pages / "index.html").as_uri()
    browser.open(index)
    total = browser.evaluate(f"{SHOWN}.length")
    by_verdict = {}
    for verdict in ("supported", "refuted", "conditional", "inconclusive"):
        browser.open(f"{index}#verdict={verdict}")
        found = browser.evaluate(f"{SHOWN}.map((one) => one.dataset.verdict)")
        assert set(found) <= {verdict}
        by_verdict[verdict] = len(found)
        assert browser.evaluate("document.getElementById('shown').textContent").startswith(f"{len(found)} of {total} ")
    assert sum(by_verdict.values()) == total
    browser.open(f"{index}#verdict=refuted+supported")
    assert browser.evaluate(f"{SHOWN}.length") == by_verdict["refuted"] + by_verdict["supported"]
    browser.open(f"{index}#part=optimization&text=hardly%20affects")
    assert browser.evaluate(f"{SHOWN}.map((one) => one.closest('article').id)") == ["clipping"]
    assert browser.evaluate("document.getElementById('part').value") == "optimization"
    browser.open(f"{index}#text=no+such+words")
    assert browser.evaluate(f"{SHOWN}.length") == 0
    assert browser.evaluate("document.getElementById('shown').textContent").startswith("0 of ")
    browser.open(f"{index}#clipping")
    assert browser.evaluate(f"{SHOWN}.length") == total


def test_by_keyboard_alone(pages, browser):
    """Catches a skip link that is not first, a filter that no key reaches or toggles, an address that stays."""
    browser.open((pages / "index.html").as_uri())
    browser.press("Tab", 9)
    assert browser.evaluate("document.activeElement.className") == "skip"
    browser.press("Tab", 9)
    browser.press("Tab", 9)
    assert browser.evaluate("document.activeElement.value") == "refuted"
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(" ", 32, " ")
    assert browser.evaluate("location.hash") == "#verdict=refuted"
    assert set(browser.evaluate(f"{SHOWN}.map((one) => one.dataset.verdict)")) == {"refuted"}


@pytest.mark.parametrize("name", ["index.html", "questions/clipping.html"])
def test_what_a_screen_reader_gets(pages, browser, name):
    """Catches controls, figures, tables and landmarks without a name."""
    browser.open((pages / name).as_uri(), width=390)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert [each for each in found if each[0] in ROLES and not each[1]] == []
    roles = [role for role, _ in found]
    assert roles.count("main") == 1
    if name == "index.html":
        assert roles.count("checkbox") == 4
        assert {"combobox", "searchbox", "status"} <= set(roles)
    else:
        assert {"table", "rowheader", "columnheader", "cell", "image"} <= set(roles)


def test_nothing_is_asked_of_a_network(pages, browser):
    """Catches a font, script or icon from elsewhere."""
    browser.events.clear()
    for name in ("index.html", "questions/clipping.html"):
        browser.open((pages / name).as_uri())
    sent = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert [url for url in sent if url.endswith("atlas.css")]
    assert [url for url in sent if not url.startswith(("file:", "data:", "about:"))] == []
