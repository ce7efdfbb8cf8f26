"""What a static host with a mirror's rule files sends: our bytes and headers, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.hostile import Hostile, HostileResponse, answers
from support.hosting import short_folder
from support.mirrored import RELEASE, look, rule_files
from support.nginx import nginx
from support.signed import KEY, content, facts, put
from support.web_servers import SERVERS, serving

from cccr_web.mirror import write_mirror
from cccr_web.release import Release, Signer, make_release
from cccr_web.serve import file_headers
from cccr_web.serve.policy import listener_policy
from cccr_web.watch import DifferenceKind


@pytest.mark.parametrize("server", SERVERS)
def test_a_mirror_set_up_as_the_manual_says_passes_the_check(server: str) -> None:
    """Debian's web servers with the manual's configuration send our bytes and all our headers."""
    with short_folder() as folder:
        write_mirror(RELEASE, folder / "mirror")
        with serving(server, folder / "mirror") as url:
            report = look(url)
        logs = [file.read_text() for file in (folder / server).glob("*access*")]
    assert report.sites[0].differences == ()
    assert report.same
    assert "".join(logs) == ""


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


@pytest.mark.parametrize("server", SERVERS)
def test_a_mirror_serves_no_hidden_file(server: str) -> None:
    """What its owner keeps in the folder, such as ``.git``, gets 404; ``.well-known`` does not."""
    kept = (".git/HEAD", ".env", "en/.notes.html", ".well-known/.git/HEAD", ".nojekyll")
    with short_folder() as folder:
        write_mirror(RELEASE, folder / "mirror")
        put(dict.fromkeys(kept, b"secret"), folder / "mirror/site")
        with serving(server, folder / "mirror") as url:
            for path in (*kept, ".git/", ".git", "en/../.git/HEAD", ".well-known/security.txt"):
                found = 200 if path == ".well-known/security.txt" else 404
                connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
                with contextlib.closing(connection):
                    connection.request("GET", f"/{path}")
                    response = connection.getresponse()
                    assert (response.status, b"secret" in response.read()) == (found, False), path


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


def every_value(release: Release) -> Iterator[tuple[str, str]]:
    """Yield each header of each file."""
    policy = listener_policy("clearnet", release.metadata)
    for headers in file_headers(release, policy).values():
        yield from headers.items()


@pytest.mark.parametrize("name", ["nginx.conf", "apache.conf", "Caddyfile", "_headers"])
def test_rule_files_hold_every_header(name: str) -> None:
    """Each rule file holds every value of every header that our own server sends."""
    policy = listener_policy("clearnet", RELEASE.metadata)
    text = rule_files(RELEASE)[name]
    onion = policy.onion_location or ""
    for header, value in every_value(RELEASE):
        if header in {"Location", "Vary"}:
            continue
        assert header in text
        assert (onion if header == "Onion-Location" else value) in text
