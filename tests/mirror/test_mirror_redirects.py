"""How a static host redirects ``/``, and other tags of a language, as our server does."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.hostile import Hostile, HostileResponse, answers
from support.hosting import short_folder
from support.mirrored import RELEASE, look, rule_files
from support.signed import content, facts, make_apps
from support.web_servers import SERVERS, serving
from werkzeug.test import Client

from cccr_web.mirror import write_mirror
from cccr_web.release import Release, make_release
from cccr_web.watch import DifferenceKind

IN_THREE = make_release(
    {**content(2), **dict.fromkeys(("zh-hant/index.html", "zh-hant/who-we-are.html"), b"")},
    facts(2, languages={"en": "en", "zh-hans": "zh-Hans", "zh-hant": "zh-Hant"}),
)
IN_TWO = make_release(content(2), facts(2))

# What browsers and systems send, the preferred language first.
ACCEPTED = (
    *("zh-CN", "zh-TW,zh;q=0.9,en;q=0.8", "ug, zh-HK;q=0.8, en;q=0.5", "bo,zh;q=0.5", "en-GB,zh"),
    *("yue", "yue-CN", "zh-yue", "nan-Hant-TW", "wuu,en;q=0.5", "hak", "i-hak", "zh-Hans-HK"),
    *("zh-CHT", "zh_TW.UTF-8", "zh-u-tw", "ZH-mo", "enx,zh-MO;q=0.5", "zhx", "fr", "EN", "*", ""),
)
PATHS = (
    *("/zh/", "/zh", "/ZH/", "/zh-cn/", "/zh-TW", "/zh-tw/", "/zh_hk/", "/EN/", "/En", "/en/"),
    *("/zh-hant/", "/ZH-HANT/", "/zh-tw/who-we-are.html", "/zh-tw/index.html", "/zh-tw/x.html"),
    *(
        "/en-us/errors/404.html",
        "/EN/errors/",
        "/EN/errors",
        "/fr/",
        "/yue/",
        "/hak.txt",
        "/i-hak/",
    ),
    *("/zh-tw/../en/", "/zh-tw/%0d%0aX:y", "/zh-tw/who-we-are.html%0a", "/zh-tw-hk/", "/i-hak/"),
)


def responses(get: Callable[[str, str], tuple[int, str | None]]) -> dict[str, tuple[int, str]]:
    """Return the response to each of these requests: its status, and where it redirects to."""
    asked = [("/", accepted) for accepted in ACCEPTED] + [(path, "") for path in PATHS]
    found = ((path, accepted, *get(path, accepted)) for path, accepted in asked)
    return {f"{path} {accepted}": (status, to or "") for path, accepted, status, to in found}


def of_server(release: Release) -> dict[str, tuple[int, str]]:
    """Return what our own server responds."""
    client = Client(make_apps(release)[0])

    def get(path: str, accepted: str) -> tuple[int, str | None]:
        response = client.get(path, headers={"Accept-Language": accepted})
        return response.status_code, response.headers.get("Location")

    return responses(get)


def of_mirror(url: str) -> dict[str, tuple[int, str]]:
    """Return what a mirror responds."""

    def get(path: str, accepted: str) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept-Language": accepted})
            response = connection.getresponse()
            # Apache sends whole addresses.
            to = response.getheader("Location")
            return response.status, to.removeprefix(url) if to else None

    return responses(get)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("release", [IN_THREE, IN_TWO], ids=["three languages", "two languages"])
def test_a_mirror_redirects_to_the_language_that_our_server_chooses(
    release: Release, server: str
) -> None:
    """``/`` and paths below another tag of a language lead to the same page as on our server."""
    with short_folder() as folder:
        write_mirror(release, folder / "mirror")
        with serving(server, folder / "mirror") as url:
            found = of_mirror(url)
    # They resolve the dots before they look for a file; our server has one URL for each page.
    wanted = {**of_server(release), "/zh-tw/../en/ ": (200, "")}
    assert found == wanted
    assert len({to for _, to in found.values()}) >= 4


def test_the_redirects_file_redirects_to_a_language() -> None:
    """The file _redirects redirects / to a language, the reader's if the host supports that.

    So it does with other tags of a language; what does not exist gets our error page.
    """
    lines = rule_files(IN_THREE)["_redirects"].splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules == [
        (
            "/ /zh-hant/ 302 Language=zh-hant,zh-hanb,zh-bopo,zh-cht,zh-au,zh-bn,zh-gb,zh-gf,zh-hk,"
            "zh-id,zh-mo,zh-pa,zh-pf,zh-ph,zh-sr,zh-th,zh-tw,zh-us,zh-vn,yue"
        ),
        (
            "/ /zh-hans/ 302 Language=zh,chi,zho,cdo,cjy,cmn,cnp,cpx,csp,czh,czo,gan,hak,hnm,hsn,"
            "lzh,luh,mnp,nan,sjc,wuu"
        ),
        "/ /en/ 302",
        "/en-gb/* /en/:splat 302",
        "/en-us/* /en/:splat 302",
        "/zh/* /zh-hans/:splat 302",
        "/zh-cn/* /zh-hans/:splat 302",
        "/zh-hk/* /zh-hant/:splat 302",
        "/zh-mo/* /zh-hant/:splat 302",
        "/zh-sg/* /zh-hans/:splat 302",
        "/zh-tw/* /zh-hant/:splat 302",
        "/zh-TW/* /zh-hant/:splat 302",
        "/zh-HK/* /zh-hant/:splat 302",
        "/EN/* /en/:splat 302",
        "/* /404.html 404",
    ]


def test_pages_redirect_where_the_host_cannot(mirror: Path) -> None:
    """A page leads each common tag of a language to the folder that our server redirects to.

    It is outside the release. Its name differs from a language's folder by more than case.
    """
    redirects = mirror / "redirects"
    pages = {path: path.read_text() for path in redirects.rglob("*") if path.is_file()}
    slugs = {"en", "zh-hans"}
    tags = {path.parent.name for path in pages}
    assert {"zh", "zh-cn", "zh-tw", "zh-hk", "en-us"} <= tags
    assert tags.isdisjoint(slugs)
    assert all(tag == tag.lower() for tag in tags)
    for path, page in pages.items():
        assert path == redirects / path.parent.name / "index.html"
        (target,) = set(re.findall(r'(?:url=|href=")([^"]+)"', page))
        slug = "en" if path.parent.name.startswith("en") else "zh-hans"
        assert target == f"../{slug}/index.html"
        assert path.relative_to(redirects).as_posix() not in RELEASE.files
    with zipfile.ZipFile(io.BytesIO(RELEASE.files["cccr-web.zip"].body)) as archive:
        assert not any(name.endswith("/zh/index.html") for name in archive.namelist())


def test_a_mirror_with_pages_that_redirect_passes_the_check(mirror: Path) -> None:
    """Copied into the site, the pages stay at each update, and the watcher accepts their bytes."""
    site = mirror / "site"
    shutil.copytree(mirror / "redirects", site, dirs_exist_ok=True)
    write_mirror(RELEASE, mirror)
    assert (site / "zh" / "index.html").exists()
    tags = [folder.name for folder in (mirror / "redirects").iterdir()]
    pages = {f"/{tag}/": (site / tag / "index.html").read_bytes() for tag in tags}

    page = answers(RELEASE)["/en/"]
    headers = [pair for pair in page.headers if pair[0] not in {"Content-Length", "ETag"}]

    def static(path: str, answer: HostileResponse) -> HostileResponse:
        body = pages.get(path)
        if body is None:
            return answer
        own = ((name, value.replace("/en/", path)) for name, value in headers)
        length = ("Content-Length", str(len(body)))
        return replace(answer, status=200, headers=(*own, length), pieces=[body])

    with Hostile(RELEASE, static) as server:
        assert look(server.url).sites[0].differences == ()
        pages["/zh/"] = b"<p>Type your password"
        (found,) = look(server.url).sites[0].differences
    assert (found.path, found.kind) == ("/zh/", DifferenceKind.UNLISTED)
