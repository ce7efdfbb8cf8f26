"""Take screenshots of every page: phone, desktop, light, dark, paper.

    tests/shots.sh [FOLDER]

They show the texts of this checkout in every language, with addresses and a key, as on a
published site.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
from pathlib import Path

from support.browser.browsing import SCHEMES
from support.browser.devtools import Chromium, Tab
from support.browser.outlines import page_paths
from support.hosting import short_folder
from support.serving import ADDRESSES, Server
from support.signed import organisation_key
from support.texts import texts_with_key

from cccr_web.config import find_tree
from cccr_web.release import write
from cccr_web.render import build_release

WINDOWS = {"phone": (360, 740), "desktop": (1280, 900)}
DOTS_PER_INCH = 60


def shoot(tab: Tab, url: str, name: str, folder: Path) -> None:
    """Take every screenshot of one page."""
    for window, (width, height) in WINDOWS.items():
        for scheme in SCHEMES:
            tab.size(width, height, phone=window == "phone")
            tab.media(scheme)
            tab.visit(url)
            taken = tab.call("Page.captureScreenshot", captureBeyondViewport=True, **whole(tab))
            png = base64.b64decode(taken["data"])
            (folder / f"{name}.{window}.{scheme}.png").write_bytes(png)
    tab.media("light")
    pdf = folder / f"{name}.pdf"
    pdf.write_bytes(base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"]))
    command = ["pdftoppm", "-png", "-r", str(DOTS_PER_INCH), str(pdf), str(pdf.with_suffix(""))]
    subprocess.run([*command[:-1], f"{command[-1]}.paper"], check=True)


def whole(tab: Tab) -> dict[str, dict[str, float]]:
    """Return the clip of the whole page."""
    size = tab.call("Page.getLayoutMetrics")["cssContentSize"]
    return {"clip": {"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]}}


def main() -> None:
    """Build the site, serve it, and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the screenshots go; created if missing")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with short_folder() as work:
        texts = texts_with_key(work, organisation_key().public)
        release = build_release(texts, find_tree("templates"), addresses=ADDRESSES, environ={})
        write(release, work / "release")
        with (
            Server(work, work / "release") as server,
            Chromium(work / "profile") as chromium,
            chromium.tab() as tab,
        ):
            host, port = server.clearnet
            for path in page_paths(release):
                name = path.removesuffix(".html").replace("/", "_")
                shoot(tab, f"http://{host}:{port}/{path}", name, folder)
                sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
