"""The page with a large map: what its file holds, and what it does in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import dlcore as dl
from dlcore.plots.zoomable import TILE, LogAxis, zoomable_map

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
PALETTE = np.array([[20, 40, 90], [60, 150, 220], [250, 240, 210], [230, 160, 0]], np.uint8)
MEANINGS = ["trains late", "trains at once", "diverges at once", 'diverges </script> late & "so"']
AXES = {"x": LogAxis("rate of x", 0.1, 1000.0), "y": LogAxis("rate of y", 1.0, 100.0)}


def shades(height=300, width=600):
    """Four quarters, each of a shade, but for one cell; row 0 is the lowest."""
    row, column = np.mgrid[:height, :width]
    found = 2 * (row >= height // 2) + (column >= width // 2)
    found[0, 0] = 3
    return found


def page(map_=None):
    return zoomable_map(shades() if map_ is None else map_, PALETTE, MEANINGS, [(0, "trains")], title="A <map>", **AXES)


def content(html):
    return json.loads(re.search(r'id="content">(.*?)</script>', html, re.DOTALL)[1])


def test_tiles_are_the_map():
    """Catches tiles in the wrong place, upside down, or of other colors; levels that average or skip."""
    from PIL import Image

    map_ = np.random.default_rng(0).integers(0, 4, (300, 600))
    levels = content(page(map_))["levels"]
    assert [(len(level), len(level[0])) for level in levels] == [(2, 3), (1, 2), (1, 1)]
    for power, level in enumerate(levels):
        rows = [
            np.hstack([np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in row])
            for row in level
        ]
        assert (np.vstack(rows) == PALETTE[np.flipud(map_)[:: 2**power, :: 2**power]]).all()
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(levels[0][0][0])))).shape == (TILE, TILE)


def test_nothing_comes_from_elsewhere():
    """Catches scripts, fonts and pictures from a network, and text that is taken for markup."""
    html = page()
    assert not re.search(r"https?:|//[a-z]|@import|<link(?! rel=\"icon\" href=\"data:,\")|<script src", html)
    assert "default-src 'none'" in html
    assert "<title>A &lt;map&gt;</title>" in html
    assert '<html lang="en">' in html
    assert html.count("</script>") == 2
    assert content(html)["meanings"] == MEANINGS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shades": np.full((2, 2), 4)}, "expects integers .* below 4"),
        ({"shades": np.zeros((2, 2))}, "expects integers"),
        ({"shades": np.zeros((0, 2), int)}, "expects integers"),
        ({"palette": np.zeros((4, 3), np.uint8)}, "all colors different"),
        ({"meanings": MEANINGS[:3]}, "3 meanings for 4 colors"),
    ],
)
def test_refusals(change, message):
    given = {"shades": shades(), "palette": PALETTE, "meanings": MEANINGS, "legend": [], "title": "map"} | AXES | change
    with pytest.raises(dl.DataError, match=message):
        zoomable_map(**given)


ACTS = """
<pre id="found"></pre>
<script>
const wrong = [], found = {};
addEventListener("error", event => wrong.push(event.message));
addEventListener("securitypolicyviolation", event => wrong.push(event.violatedDirective));
addEventListener("unhandledrejection", event => wrong.push(String(event.reason)));
const frame = () => new Promise(done => setTimeout(done, 20));
const box = () => canvas.getBoundingClientRect();
function at(x, y) {  // shares of the area of the map
  return { clientX: box().left + LEFT + x * area().width, clientY: box().top + TOP + y * area().height, bubbles: true };
}
function pixel(x, y) {
  const dense = window.devicePixelRatio;
  const spot = at(x, y);
  return [...context.getImageData((spot.clientX - box().left) * dense, (spot.clientY - box().top) * dense, 1, 1).data];
}
function pixels() {
  let sum = 0;
  for (const byte of context.getImageData(0, 0, canvas.width, canvas.height).data) sum = (31 * sum + byte) % 1000000007;
  return sum;
}
function point(kind, id, x, y) { canvas.dispatchEvent(new PointerEvent(kind, { pointerId: id, ...at(x, y) })); }
async function tell(name) {
  draw();
  await frame();
  found[name] = { pixels: pixels(), scale: view.scale, row: view.row, column: view.column, text: reading.textContent };
}
async function act() {
  while (images.size < 1 || ![...images.values()].every(image => image.complete)) await frame();
  await tell("whole");
  // The map is twice as wide as high.
  const heights = Math.min(area().height, area().width / 2) / area().height / 4;
  const widths = Math.min(area().width, 2 * area().height) / area().width / 4;
  found.quarters = [[-1, -1], [1, -1], [-1, 1], [1, 1]].map(([x, y]) => pixel(0.5 + widths * x, 0.5 + heights * y));
  point("pointermove", 1, 0.5 + widths, 0.5 - heights);
  await tell("upper right");
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -480, cancelable: true, ...at(0.6, 0.5) }));
  await tell("wheel");
  point("pointerdown", 1, 0.5, 0.5); point("pointermove", 1, 0.4, 0.5); point("pointerup", 1, 0.4, 0.5);
  await tell("drag");
  point("pointerdown", 1, 0.4, 0.5); point("pointerdown", 2, 0.6, 0.5); point("pointermove", 2, 0.8, 0.5);
  point("pointerup", 1, 0.4, 0.5); point("pointerup", 2, 0.8, 0.5);
  await tell("pinch");
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
  await tell("arrow");
  canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "+" }));
  await tell("plus");
  document.getElementById("farther").click();
  await tell("farther");
  document.getElementById("whole").click();
  point("pointermove", 1, 0.5 + widths, 0.5 - heights);
  await tell("again");
  found.loaded = performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 5));
}
act().catch(error => wrong.push(String(error))).finally(() => {
  document.getElementById("found").textContent = JSON.stringify({ ...found, wrong });
});
</script>
</body>
"""


def browsed(html, folder, size):
    """What the acts found in a window of that size."""
    (folder / "page.html").write_text(html.replace("</body>", ACTS), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={size}"]
    flags += [f"--user-data-dir={folder}/profile", "--virtual-time-budget=1000000", "--dump-dom"]
    command = [str(CHROMIUM), *flags, (folder / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "willReadFrequently" not in line]
    assert not said  # that we read the canvas all the time is our doing
    text = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert text, done.stderr
    return json.loads(text[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


@in_browser
@pytest.mark.parametrize("size", ["1280,800", "420,760"])
@pytest.mark.heavy  # frames that a loaded machine is late with
def test_in_a_browser(tmp_path, size):
    """Catches a page that shows nothing, shows it upside down, or does not answer to mouse, fingers, keys, buttons."""
    found = browsed(page(), tmp_path, size)
    assert found["wrong"] == []
    assert set(found["loaded"]) <= {"data:"}
    assert [quarter[:3] for quarter in found["quarters"]] == PALETTE[[2, 3, 0, 1]].tolist()
    assert "rate of x" in found["upper right"]["text"]
    assert found["upper right"]["text"].endswith(f": {MEANINGS[3]}")
    whole = found["whole"]
    assert (whole["row"], whole["column"]) == (150, 300)
    assert found["wheel"]["scale"] == pytest.approx(4 * whole["scale"])
    assert found["wheel"]["column"] > whole["column"]  # the pointer was on the right
    assert found["drag"]["column"] > found["wheel"]["column"]
    assert found["drag"]["row"] == pytest.approx(found["wheel"]["row"])
    assert found["pinch"]["scale"] == pytest.approx(2 * found["drag"]["scale"])
    assert found["arrow"]["row"] > found["pinch"]["row"]
    assert found["plus"]["scale"] == pytest.approx(1.5 * found["arrow"]["scale"])
    assert found["farther"]["scale"] == pytest.approx(max(whole["scale"], 0.5 * found["plus"]["scale"]))
    assert found["again"]["pixels"] == whole["pixels"]
    seen = [found[name]["pixels"] for name in ("whole", "wheel", "drag", "pinch", "arrow", "plus", "farther")]
    assert len(set(seen)) == len(seen)
