"""Take screenshots of every page: phone, desktop, light, dark, paper.

    tests/shots.sh [FOLDER]
    tests/shots.sh --store

They show the texts of this checkout in every language, with addresses and a key, as on a
published site. --store renews what the tests compare pages with, and the README's picture.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
from pathlib import Path

from support.browser import thumbnails, trees
from support.browser.browsing import SCHEMES, published_release
from support.browser.devtools import Chromium, Tab
from support.browser.outlines import page_paths
from support.hosting import short_folder

from cccr_web.languages import LANGUAGES
from cccr_web.release import Release, write

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


def shoot_all(tab: Tab, site: Path, release: Release, folder: Path) -> None:
    """Take every screenshot of every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in page_paths(release):
        name = path.removesuffix(".html").replace("/", "_")
        shoot(tab, (site / path).as_uri(), name, folder)
        sys.stdout.write(f"{path}\n")


def store(tab: Tab, site: Path) -> None:
    """Renew the stored thumbnails and trees, and the README's picture."""
    for folder in (thumbnails.FOLDER, trees.FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for path in thumbnails.PATHS:
        sheet = thumbnails.take(tab, (site / path).as_uri())
        thumbnails.stored_file(path).write_bytes(thumbnails.encoded(sheet))
        sys.stdout.write(f"{path}\n")
    tab.size(1280, 900)
    for kind, path in trees.KINDS.items():
        file = trees.FOLDER / f"{kind}.txt"
        file.write_text(trees.read_text(tab, site / path), encoding="utf-8")
    homes = [(site / language.slug / "index.html").as_uri() for language in LANGUAGES]
    picture = thumbnails.encoded(thumbnails.readme_picture(tab, homes), quality=60)
    thumbnails.README_PICTURE.write_bytes(picture)


def main() -> None:
    """Build the site, open it from disk, and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", nargs="?", type=Path, help="where they go; created if missing")
    what.add_argument("--store", action="store_true", help="renew what the tests compare")
    options = parser.parse_args()
    with short_folder() as work:
        release = published_release(work)
        site = work / "release"
        write(release, site)
        with Chromium(work / "profile") as chromium, chromium.tab() as tab:
            if options.store:
                store(tab, site)
            else:
                shoot_all(tab, site, release, options.folder)


if __name__ == "__main__":
    main()
