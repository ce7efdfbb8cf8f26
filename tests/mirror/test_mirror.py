"""A mirror: the same bytes, and rule files by which a static host sends our headers."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.command import run
from support.hostile import Hostile, HostileResponse, answers
from support.nginx import nginx
from support.signed import (
    KEY,
    PUBLIC,
    content,
    facts,
    put,
    put_release,
    signed_release,
)

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.mirror import write_mirror
from cccr_web.release import Release, Signer, load, make_release
from cccr_web.serve import Hosts, Listener, clearnet_policy, create_app, file_headers
from cccr_web.watch import Address, DifferenceKind, Report, Settings, check_sites

RELEASE = signed_release(2)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A signed release in a folder."""
    folder = tmp_path / "release"
    put_release(RELEASE, folder)
    return folder


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of it."""
    folder = tmp_path / "mirror"
    write_mirror(RELEASE, folder)
    return folder


@pytest.fixture
def nginx_folder(tmp_path: Path) -> Path:
    """A folder for nginx."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    return folder


def rule_files(release: Release, listener: Listener = "clearnet") -> dict[str, str]:
    """Return name → content of each file of header rules."""
    with tempfile.TemporaryDirectory() as folder:
        write_mirror(release, Path(folder), listener)
        return {file.name: file.read_text() for file in Path(folder, "headers").iterdir()}


def look(url: str) -> Report:
    """Look at an address with the tests' key."""
    return check_sites([Address.parse(url)], Settings(PUBLIC))


def test_the_command_writes_the_site_and_the_rule_files(release: Path, tmp_path: Path) -> None:
    """The command writes the release's own bytes and the rule files, and nothing else."""
    folder = tmp_path / "mirror"
    done = run("mirror", folder, "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 0, done.output
    assert f"signed by {PUBLIC.fingerprint}" in done.stdout
    assert load(folder / "site", PUBLIC).files == RELEASE.files
    assert (folder / "site" / ".nojekyll").read_bytes() == b""
    assert sorted(path.name for path in folder.iterdir()) == ["headers", "redirects", "site"]
    names = ["Caddyfile", "_headers", "_redirects", "nginx.conf"]
    assert sorted(path.name for path in (folder / "headers").iterdir()) == names


def test_a_changed_release_is_not_mirrored(release: Path, tmp_path: Path) -> None:
    """A release with one changed byte is rejected, and nothing is written."""
    page = release / "en" / "index.html"
    page.write_bytes(page.read_bytes() + b" ")
    done = run("mirror", tmp_path / "mirror", "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 1
    assert done.stderr == "en/index.html is not the file that SHA256SUMS lists.\n"
    assert not (tmp_path / "mirror").exists()


@pytest.mark.parametrize("folder", ["", "mirror"])
def test_a_mirror_inside_its_release_is_wrong_usage(release: Path, folder: str) -> None:
    """A release is never written into itself, which would change it."""
    done = run("mirror", release / folder, "--release", release, "--public-key", PUBLIC)
    assert done.exit_code == 2
    assert "is in the release itself: choose another folder." in done.stderr
    assert load(release, PUBLIC).files == RELEASE.files


def unsigned(sequence: int, files: dict[str, bytes]) -> Release:
    """Return a release of these files."""
    return make_release(files, facts(sequence))


@pytest.mark.parametrize("has_links", [True, False])
def test_an_update_keeps_files_of_others(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    """What no release wrote stays where it is, also where the file system has no hard links."""
    site = mirror / "site"
    put({".git/objects/a": b"blob", "CNAME": b"cccr.example", "en/notes.txt": b"mine"}, site)
    put({"notes.txt": b"mine"}, site.parent / "redirects")
    (site / ".git/objects/a").chmod(0o444)
    (site / ".git/hooks").mkdir()
    (site / ".git/link").symlink_to("nowhere")
    (site / "RELEASE.link").symlink_to("RELEASE.json")
    if not has_links:

        def fail(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", fail)
    write_mirror(unsigned(3, {"en/index.html": b"new"}), mirror)
    kept = {str(path.relative_to(site)) for path in site.rglob("*") if not path.is_dir()}
    assert kept == {
        *(".git/objects/a", ".git/link", "CNAME", "en/notes.txt", "RELEASE.link"),
        *(".nojekyll", "RELEASE.json", "SHA256SUMS", "en/index.html"),
    }
    assert (site / ".git/objects/a").read_bytes() == b"blob"
    assert (site / ".git/objects/a").stat().st_mode & 0o777 == 0o444
    assert (site / ".git/hooks").is_dir()
    assert (site / ".git/link").readlink() == Path("nowhere")
    assert (site / "CNAME").read_bytes() == b"cccr.example"
    assert (site.parent / "redirects/notes.txt").read_bytes() == b"mine"
    assert sorted(path.name for path in mirror.iterdir()) == ["headers", "redirects", "site"]


def test_a_mirror_begins_in_the_folder_of_a_repository(tmp_path: Path) -> None:
    """A folder that holds a repository and no release yet becomes a mirror."""
    put({".git/HEAD": b"ref", "README.md": b"mine"}, tmp_path / "site")
    write_mirror(RELEASE, tmp_path)
    assert (tmp_path / "site/.git/HEAD").read_bytes() == b"ref"
    assert (tmp_path / "site/README.md").read_bytes() == b"mine"
    with pytest.raises(CccrError, match=r"(\.git|README\.md) is not listed in SHA256SUMS"):
        load(tmp_path / "site")


@pytest.mark.parametrize(
    ("theirs", "named"),
    [("a.html", "a.html"), ("b", "b"), ("c.html/x", "c.html"), ("zh/d.html", "zh")],
)
def test_a_file_of_others_is_never_overwritten(tmp_path: Path, theirs: str, named: str) -> None:
    """If a release has a file where another file or folder is, nothing is written."""
    site = put({theirs: b"mine"}, tmp_path / "site")
    ours = dict.fromkeys(("a.html", "b/b.html", "c.html", "zh/d.html"), b"ours")
    with pytest.raises(CccrError, match=f"site/{named} is not from a release.* Move it elsewhere"):
        write_mirror(unsigned(3, ours), tmp_path)
    assert {path.read_bytes() for path in site.rglob("*") if path.is_file()} == {b"mine"}


def test_a_failed_update_leaves_the_mirror_as_it_was(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new folder cannot take its place, the release and the files of others are there."""
    put({".git/HEAD": b"ref"}, mirror / "site")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(files, "_rename", fail)
        with pytest.raises(CccrError, match="site cannot be written: Input/output error"):
            write_mirror(signed_release(3), mirror)
    assert (mirror / "site/.git/HEAD").read_bytes() == b"ref"
    shutil.rmtree(mirror / "site/.git")
    assert load(mirror / "site").metadata.sequence == 2
    write_mirror(signed_release(3), mirror)
    assert load(mirror / "site").metadata.sequence == 3


def test_an_older_release_is_not_mirrored(mirror: Path) -> None:
    """Neither an older release nor another one with the same sequence replaces a mirror."""
    site = mirror / "site"
    older = f"Release 1 is older than release 2, which is in {site}."
    with pytest.raises(CccrError, match=re.escape(older)):
        write_mirror(signed_release(1), mirror)
    with pytest.raises(CccrError, match=f"differs from that of release 2, which is in {site}"):
        write_mirror(unsigned(2, {"en/index.html": b"other"}), mirror)
    assert load(site).files == RELEASE.files
    write_mirror(RELEASE, mirror)
    (site / "RELEASE.json").write_bytes(b"{}")
    with pytest.raises(CccrError, match=r"site is damaged: RELEASE\.json is not .* Choose another"):
        write_mirror(signed_release(3), mirror)


def test_nginx_with_the_rules_passes_the_check(mirror: Path, nginx_folder: Path) -> None:
    """nginx with the rules sends the same bytes and all our headers."""
    with nginx(nginx_folder, mirror) as url:
        report = look(url)
    assert report.sites[0].differences == ()
    assert report.same


def test_nginx_without_the_rules_fails_the_check(mirror: Path, nginx_folder: Path) -> None:
    """Without the rules headers are missing, and nginx sends its version."""
    with nginx(nginx_folder, mirror, rules=False) as url:
        seen = look(url).sites[0]
    kinds = {found.kind for found in seen.differences if found.path == "/en/index.html"}
    assert kinds == {
        DifferenceKind.MISSING_HEADER,
        DifferenceKind.CHANGED_HEADER,
        DifferenceKind.EXTRA_HEADER,
    }
    details = {found.detail for found in seen.differences}
    assert "Content-Security-Policy" in details
    assert any(re.fullmatch(r"Server: nginx/[0-9.]+", detail) for detail in details)


def test_an_index_page_of_the_release_is_served_at_the_root(
    tmp_path: Path, nginx_folder: Path
) -> None:
    """If the release has an index.html, a mirror serves it at /, and the watcher agrees."""
    assert "\n/\n" not in rule_files(RELEASE)["_headers"]
    files = content(2) | {"index.html": b"<!doctype html><title>both"}
    release = Signer(KEY).sign(make_release(files, facts(2)))
    write_mirror(release, tmp_path / "mirror")
    with nginx(nginx_folder, tmp_path / "mirror") as url:
        assert look(url).sites[0].differences == ()
    rules = rule_files(release)
    assert "\n/ " not in rules["_redirects"]
    by_file = by_headers_file(rules["_headers"])
    shown = answers(release)["/index.html"]

    def tamper(path: str, answer: HostileResponse) -> HostileResponse:
        return by_file(path, shown if path == "/" else answer)

    with Hostile(release, tamper) as server:
        assert look(server.url).sites[0].differences == ()
    with Hostile(release, lambda path, answer: shown if path == "/" else answer) as server:
        (found,) = look(server.url).sites[0].differences
    assert (found.path, found.kind) == ("/", DifferenceKind.CHANGED_HEADER)


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
    policy = clearnet_policy(release.metadata, ())
    client = create_app(release, policy, Hosts(frozenset({"localhost"}))).test_client()

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
            return response.status, response.getheader("Location")

    return responses(get)


@pytest.mark.parametrize("release", [IN_THREE, IN_TWO], ids=["three languages", "two languages"])
def test_nginx_redirects_to_the_language_that_our_server_chooses(
    release: Release, tmp_path: Path, nginx_folder: Path
) -> None:
    """``/`` and paths below another tag of a language lead to the same page as on our server."""
    write_mirror(release, tmp_path / "mirror")
    with nginx(nginx_folder, tmp_path / "mirror") as url:
        found = of_mirror(url)
    # nginx resolves the dots before it looks for a file; our server has one URL for each page.
    wanted = {**of_server(release), "/zh-tw/../en/ ": (200, "")}
    assert found == wanted
    assert len({to for _, to in found.values()}) >= 4


def by_caddyfile(release: Release) -> dict[str, tuple[int, str]]:
    """Return where the rules of a Caddyfile redirect to, as Caddy documents its directives.

    The first expression of a ``map`` that matches decides; all lines of a matcher must match.
    """
    rules = rule_files(release)["Caddyfile"]
    maps = re.findall(r"^map {(\S+)} ((?:{\S+} )+){\n((?: .*\n)*)", rules, re.MULTILINE)
    redirects = re.findall(r"^redir (\S+) (\S+) 302$", rules, re.MULTILINE)
    (matcher,) = re.findall(r"^@cccr_page {\n((?: .*\n)*)", rules, re.MULTILINE)

    def get(path: str, accepted: str) -> tuple[int, str | None]:
        known = {"path": unquote(path), "header.Accept-Language": accepted}

        def filled(text: str) -> str:
            return re.sub(r"{(\w+)}", lambda name: known[name[1]], text)

        for source, targets, lines in maps:
            for line in lines.splitlines():
                ((pattern, values),) = re.findall(r'^ +("[^"]*"|\S+) (.*)', line)
                # The line “default” comes last.
                expression = pattern.strip('"').removeprefix("~").removeprefix("default")
                found = re.search(expression.replace("$", r"\Z"), known[source])
                if found is not None:
                    for target, value in zip(targets.split(), values.split(), strict=True):
                        group = re.fullmatch(r"\${(\d)}", value)
                        known[target[1:-1]] = (
                            found[int(group[1])] or "" if group else value.strip('"')
                        )
                    break
        pages = set()
        for kind, value in re.findall(
            r"^ +(not path_regexp|path_regexp|file) (.*)", matcher, re.MULTILINE
        ):
            if kind == "file":
                pages.add(any(filled(file)[1:] in release.files for file in value.split()))
            else:
                matches = re.search(value.replace("$", r"\Z"), known["path"]) is not None
                pages.add(matches != kind.startswith("not"))
        for what, target in redirects:
            if (what == "@cccr_page" and pages == {True}) or what == path:
                return 302, filled(target)
        return 404, None

    return responses(get)


@pytest.mark.parametrize("release", [IN_THREE, IN_TWO], ids=["three languages", "two languages"])
def test_caddy_redirects_to_the_language_that_our_server_chooses(release: Release) -> None:
    """Caddy's rules redirect ``/`` and paths below another tag of a language as our server does."""
    found = by_caddyfile(release)
    server = of_server(release)
    redirects = {what: answer for what, answer in server.items() if answer[0] == 302}
    assert {what: answer for what, answer in found.items() if answer[0] == 302} == redirects
    assert len(redirects) > 20


def test_a_mirror_serves_no_hidden_file(mirror: Path, nginx_folder: Path) -> None:
    """What its owner keeps in the folder, such as ``.git``, gets 404; ``.well-known`` does not."""
    kept = (".git/HEAD", ".env", "en/.notes.html", ".well-known/.git/HEAD", ".nojekyll")
    put(dict.fromkeys(kept, b"secret"), mirror / "site")
    with nginx(nginx_folder, mirror) as url:
        for path in (*kept, ".git/", ".git", "en/../.git/HEAD", ".well-known/security.txt"):
            found = 200 if path == ".well-known/security.txt" else 404
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
            with contextlib.closing(connection):
                connection.request("GET", f"/{path}")
                response = connection.getresponse()
                assert (response.status, b"secret" in response.read()) == (found, False), path
    caddy = rule_files(RELEASE)["Caddyfile"]
    assert "path_regexp (^|/)\\.\n    not path /.well-known/*\n}\nrespond @cccr_hidden 404" in caddy


def by_headers_file(rules: str) -> Callable[[str, HostileResponse], HostileResponse]:
    """Return a function that sends the headers of a ``_headers`` file, as Netlify documents it.

    The rules that match a path are joined, and so are values of one name.
    """
    blocks: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in rules.splitlines():
        if line.startswith("/"):
            current = blocks.setdefault(line, [])
        elif line.startswith("  "):
            name, _, value = line.strip().partition(": ")
            current.append((name, value))
    assert set(blocks) > {"/*"}

    def tamper(path: str, answer: HostileResponse) -> HostileResponse:
        found: dict[str, str] = {}
        for name, value in [*blocks["/*"], *blocks.get(path, [])]:
            found[name] = f"{found[name]}, {value}" if name in found else value
        kept = [pair for pair in answer.headers if pair[0] in {"Content-Length", "Location"}]
        return replace(answer, headers=(*kept, *found.items()))

    return tamper


def test_a_host_with_the_headers_file_sends_our_headers(mirror: Path) -> None:
    """A host that follows the file _headers sends all our headers."""
    tamper = by_headers_file((mirror / "headers" / "_headers").read_text())
    with Hostile(RELEASE, tamper) as server:
        assert look(server.url).sites[0].differences == ()


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
        "/zh/* /zh-hans/:splat 302",
        "/zh-cn/* /zh-hans/:splat 302",
        "/zh-sg/* /zh-hans/:splat 302",
        "/zh-tw/* /zh-hant/:splat 302",
        "/zh-hk/* /zh-hant/:splat 302",
        "/zh-mo/* /zh-hant/:splat 302",
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
        length = ("Content-Length", str(len(body)))
        return replace(answer, status=200, headers=(*headers, length), pieces=[body])

    with Hostile(RELEASE, static) as server:
        assert look(server.url).sites[0].differences == ()
        pages["/zh/"] = b"<p>Type your password"
        (found,) = look(server.url).sites[0].differences
    assert (found.path, found.kind) == ("/zh/", DifferenceKind.UNLISTED)


def every_value(release: Release) -> Iterator[tuple[str, str]]:
    """Yield each header of each file."""
    policy = clearnet_policy(release.metadata, release.metadata.onions)
    for headers in file_headers(release, policy).values():
        yield from headers.items()


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile", "_headers"])
def test_rule_files_hold_every_header(name: str) -> None:
    """Each rule file holds every value of every header that our own server sends."""
    policy = clearnet_policy(RELEASE.metadata, RELEASE.metadata.onions)
    text = rule_files(RELEASE)[name]
    onion = policy.onion_location or ""
    for header, value in every_value(RELEASE):
        if header in {"Location", "Vary"}:
            continue
        assert header in text
        assert (onion if header == "Onion-Location" else value) in text


def test_rules_for_an_onion_have_no_hsts_or_onion_location(release: Path, tmp_path: Path) -> None:
    """For an onion the rules hold neither HSTS nor Onion-Location."""
    done = run("mirror", tmp_path / "mirror", "--release", release, "--onion")
    assert "not checked against a key" in done.stdout
    for file in (tmp_path / "mirror" / "headers").iterdir():
        text = file.read_text()
        assert "Strict-Transport-Security" not in text
        assert "http://a" not in text
    expected = rule_files(RELEASE, "onion")
    written = {path.name: path.read_text() for path in (tmp_path / "mirror/headers").iterdir()}
    assert written == expected
