"""Our server behind nginx with the configuration that ``deploy.sh`` writes (``deploy/server/``)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.deployed_nginx import OWN_ERRORS, DeployedNginx, written
from support.hosting import short_folder, wait_until
from support.serving import (
    DOMAIN,
    ONION,
    START_TIMEOUT,
    ReceivedResponse,
    Server,
    read_answer,
    talk,
)
from support.signed import content, facts, organisation_key, put_release

from cccr_web.languages import CHINESE, LANGUAGES, SIMPLIFIED, TRADITIONAL, negotiate
from cccr_web.release import Release, Signer, make_release, with_archive
from cccr_web.serve.request_headers import qualities

LARGE = bytes(range(256)) * 400
STYLES = ["sha256-" + letter * 43 + "=" for letter in "AB"]
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
NAMES = {"clearnet": DOMAIN, "onion": ONION}
TAGS = ("en", "en-US", "zh", "zh-CN", "zh-TW", "zh-Hans-HK", "zh-Hant-SG", "fr", "*", "ug")
# Every item of the tables from which our server knows the languages of readers.
KNOWN = (
    *(language.tag for language in LANGUAGES),
    *CHINESE.split("|"),
    *(f"zh-{subtag}" for subtag in (*SIMPLIFIED.split("|"), *TRADITIONAL.split("|"))),
    *("i-hak", "yue-CN", "zh_Hant_TW"),
)
LISTS = [
    "",
    "zh-CN,zh;q=0.8,zh-TW;q=0.7,zh-HK;q=0.5,en-US;q=0.3,en;q=0.2",
    "fr, zh-MO;q=0.9, en;q=0.8",
    "en;q=0.5,zh;q=0.6",
    "zh;q=0.5,en-GB",
    "zh;q=0,en;q=0",
    "fr;q=0.9,zh-TW;q=0",
    "zh_CN",
    "en-GB-oxendict,zh;q=0.93",
    "ZH-hant;q=0.8,EN;q=0.8",
    "yue-HK,en;q=0.5",
    "en,zh foo;q=0.5",
    "zh foo,en;q=0.5",
    f"{'fr,' * 63}zh",
    f"{'fr,' * 64}zh",
    *TAGS,
    *KNOWN,
    *(f"{tag},en;q=0.5" for tag in KNOWN),
    *(f"en,{tag};q=0.5" for tag in KNOWN),
    *(f"fr, {tag.upper()};q=0.9,en;q=0.8" for tag in KNOWN),
    *(f"{first},{second};q=0.5" for first, second in itertools.permutations(TAGS, 2)),
]


@functools.cache
def release(number: int) -> Release:
    """Return a signed release with a large file, and with a different style."""
    known = facts(
        number, clearnet=f"https://{DOMAIN}", onions=(ONION,), style_hashes=(STYLES[number - 1],)
    )
    files = content(number) | {"en/large.zip": LARGE}
    return Signer(organisation_key()).sign(with_archive(make_release(files, known)))


@functools.cache
def conf(number: int) -> Mapping[str, str]:
    """Return nginx's configuration for a release."""
    return written(release(number))


class SiteBehindNginx:
    """The site's servers and nginx, with release 1."""

    def __init__(self, folder: Path) -> None:
        for number in (1, 2):
            put_release(release(number), folder / str(number))
        self.current = folder / "current"
        self.current.symlink_to(folder / "1")
        self.nginx = DeployedNginx(folder)
        self.server = Server(folder, self.current)

    @contextlib.contextmanager
    def running(self, *replaced: tuple[str, str]) -> Iterator[SiteBehindNginx]:
        """Run all of it, with ``replaced`` in nginx's configuration."""
        with self.server:
            self.write(1, *replaced)
            with self.nginx.running():
                yield self

    def write(self, number: int, *replaced: tuple[str, str]) -> None:
        """Write nginx's configuration for a release."""
        port = self.server.clearnet[1]
        sock = f"unix:{self.nginx.folder}/clearnet.sock"
        self.nginx.write(conf(number), (sock, f"127.0.0.1:{port}"), *replaced)

    def send(self, sent: bytes, listener: str = "clearnet") -> bytes:
        """Send bytes to nginx, and return what it sends until it closes."""
        received = b""
        with self.nginx.connect(listener) as link:
            link.sendall(sent)
            while more := link.recv(65536):
                received += more
        return received

    def ask(
        self,
        path: str,
        *headers: str,
        method: str = "GET",
        host: str = "",
        listener: str = "clearnet",
    ) -> ReceivedResponse:
        """Make one request to nginx."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or NAMES[listener]}", *headers]
        sent = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        return read_answer(self.send(sent, listener), bodiless=method == "HEAD")

    def language(self, accepted: str) -> str:
        """Return where “/” leads, behind nginx."""
        answer = self.ask("/", *([f"Accept-Language: {accepted}"] if accepted else []))
        assert (answer.status, answer.header("Vary")) == (302, "Accept-Language")
        return (answer.header("Location") or "").strip("/")

    @property
    def cached(self) -> set[str]:
        """The keys of nginx's cache."""
        return {file.name for file in (self.nginx.folder / "cache").rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def site() -> Iterator[SiteBehindNginx]:
    """The site, for tests that change nothing."""
    with short_folder() as folder, SiteBehindNginx(folder).running() as site:
        yield site


@pytest.mark.parametrize("listener", NAMES)
def test_other_spellings_fill_no_cache(site: SiteBehindNginx, listener: str) -> None:
    """Neither another spelling of a path nor one of the Host gets a place in nginx's cache."""
    assert site.ask("/en/", listener=listener).status == 200
    before = site.cached
    for path in ("//en/", "///en/", "/en//", "/./en/", "/en/../en/", "/%2e/en/", "/%65n/", "/EN/"):
        for method in ("GET", "HEAD"):
            assert site.ask(path, method=method, listener=listener).status != 200, path
    for host in (NAMES[listener].upper(), NAMES[listener].title()):
        assert site.ask("/en/", host=host, listener=listener).status == 200
    assert site.cached == before


def test_a_query_gets_the_page_but_no_place_in_the_cache(site: SiteBehindNginx) -> None:
    """Links that people pass on have queries. There is no end of them."""
    page = site.ask("/en/")
    before = site.cached
    for query in ("?x", "?utm_source=mail", "?"):
        assert site.ask(f"/en/{query}").body == page.body
    assert site.cached == before


def test_the_root_of_one_language_answers_no_reader_of_another() -> None:
    """“/” is cached per language: what one reader got is kept for readers of that language only."""
    with short_folder() as folder, SiteBehindNginx(folder).running() as site:
        assert site.language("zh-CN,zh;q=0.9") == "zh-hans"
        assert site.language("en") == "en"
        assert site.language("zh") == "zh-hans"
        site.server.process.kill()
        site.server.process.wait()
        # Others of the same language, who have never asked.
        assert site.language("zh-SG") == "zh-hans"
        assert site.language("en-GB,en;q=0.9,zh;q=0.1") == "en"


def test_the_root_leads_behind_nginx_where_it_leads_without(site: SiteBehindNginx) -> None:
    """For any Accept-Language “/” leads to the language that our server chooses, cached or not."""
    for accepted in (*LISTS, *LISTS[:10]):
        assert site.language(accepted) == negotiate(qualities(accepted), ["en", "zh-hans"]).slug
    # Nothing is cached for each Accept-Language.
    assert len(site.cached) < 30


def test_no_request_changes_where_the_root_leads_others() -> None:
    """What “/” answers to one reader is cached only for readers of the same language."""
    german_then_chinese = ("Accept-Language: de", "Accept-Language: zh")
    with short_folder() as folder, SiteBehindNginx(folder).running() as site:
        for listener, headers in (
            ("clearnet", german_then_chinese),
            ("onion", (f"Accept-Language: {'de,' * 64}zh",)),
        ):
            site.ask("/", *headers, listener=listener)
            for accepted, slug in (("de", "en"), ("en", "en"), ("zh", "zh-hans")):
                answer = site.ask("/", f"Accept-Language: {accepted}", listener=listener)
                assert answer.header("Location") == f"/{slug}/", (headers, accepted)


def test_the_large_copies_have_ranges_behind_nginx(site: SiteBehindNginx) -> None:
    """A range of a large copy is 206: from the cache or not, whatever codings a client accepts."""
    tag = site.ask("/en/large.zip", method="HEAD", listener="onion").header("ETag")
    for listener, path, coding in itertools.product(
        NAMES,
        ("/en/large.zip", "/en/large.zip?a=b"),
        ("gzip, deflate, br", "identity", "identity;q=1, *;q=0"),
    ):
        accept = f"Accept-Encoding: {coding}"
        for _ in range(2):
            part = site.ask(path, accept, "Range: bytes=70000-70009", listener=listener)
            assert (part.status, part.body) == (206, LARGE[70000:70010])
            assert part.header("Content-Range") == f"bytes 70000-70009/{len(LARGE)}"
        rest = site.ask(path, accept, "Range: bytes=102000-", f"If-Range: {tag}", listener=listener)
        assert (rest.status, rest.body) == (206, LARGE[102000:])
        changed = site.ask(path, accept, "Range: bytes=9-", 'If-Range: "x"', listener=listener)
        assert (changed.status, changed.body) == (200, LARGE)
        beyond = site.ask(path, accept, "Range: bytes=999999-", listener=listener)
        assert (beyond.status, beyond.header("Content-Range")) == (416, f"bytes */{len(LARGE)}")
        several = site.ask(path, accept, "Range: bytes=0-1,5-6", listener=listener)
        assert (several.status, several.body) == (200, LARGE)


def test_addresses_that_people_type_work_while_the_server_is_down() -> None:
    """While our server is down, “/” leads to a language of the reader, and pages are answered.

    Requests with odd paths before do not change that.
    """
    with short_folder() as folder, SiteBehindNginx(folder).running() as site:
        for accepted in ("en", "zh-Hans", "zh-Hant"):
            site.language(accepted)
        assert site.ask("/en/").status == 200
        for number in range(50):
            site.ask(f"/{'/' * (number % 5)}en/{number % 3 or ''}", method="HEAD")
        site.server.process.kill()
        site.server.process.wait()
        assert site.ask("/none").status == 502
        for accepted, slug in (
            ("", "en"),
            ("en-GB,en;q=0.9,zh;q=0.1", "en"),
            ("zh-CN,zh;q=0.9", "zh-hans"),
            ("de,zh;q=0.5", "zh-hans"),
            # These are not cached.
            ("de,zh-CN;q=0.93", "zh-hans"),
            ("zh-SG;q=1.0", "zh-hans"),
        ):
            assert site.language(accepted) == slug
        assert site.ask("/?a=b").header("Location") == "/en/"
        assert site.ask("/", method="HEAD").status == 302
        assert site.ask("/en/").status == 200


@pytest.mark.parametrize("listener", NAMES)
def test_the_root_answers_in_every_language_while_the_server_is_down(listener: str) -> None:
    """Nobody has asked in that language before. nginx's answer has our server's headers.

    Only its policy is stricter, because it has no page.
    """

    def headers(answer: ReceivedResponse) -> list[tuple[str, str]]:
        changing = {"connection", "content-length", "content-security-policy", "date"}
        return sorted((n.lower(), v) for n, v in answer.headers if n.lower() not in changing)

    with short_folder() as folder, SiteBehindNginx(folder).running() as site:
        ours = site.ask("/", "Accept-Language: en;q=0.93", listener=listener)  # it is not cached
        assert ours.status == 302
        site.server.process.kill()
        site.server.process.wait()
        for method in ("GET", "HEAD"):
            theirs = site.ask("/", method=method, listener=listener)
            assert (theirs.status, theirs.body) == (302, b"")
            assert headers(theirs) == headers(ours)
            assert theirs.header("Content-Security-Policy") == NOTHING
        for tag, slug in (("zh-TW", "zh-hant"), ("zh-CN", "zh-hans"), ("en", "en"), ("de", "en")):
            answer = site.ask("/", f"Accept-Language: {tag},en;q=0.9", listener=listener)
            assert answer.header("Location") == f"/{slug}/"
        foreign = site.ask("/", host="another.example", listener=listener)
        assert foreign.header("Location") is None
        assert foreign.status == (502 if listener == "onion" else 421)
        # No part of nginx's own can be asked for.
        assert [site.ask(path).status for path in ("/.root", "/.nginx")] == [404, 404]


def test_after_sighup_alone_every_error_has_the_policy_of_the_new_release() -> None:
    """After SIGHUP, without deploy.sh, no error has a header of the release before.

    Errors with a page allow the new style. Those of nginx and waitress load nothing at all, and
    their headers are the same for every release.
    """
    with short_folder() as folder, SiteBehindNginx(folder).running() as site:

        def check(current: str) -> None:
            for listener, (status, request) in itertools.product(NAMES, OWN_ERRORS.items()):
                named = request.replace(b"%s", NAMES[listener].encode())
                answers = [read_answer(site.send(named, listener))]
                if status == 400:
                    server = site.server
                    answers += [
                        read_answer(talk(where, named)) for where in (server.clearnet, server.onion)
                    ]
                for answer in answers:
                    assert (answer.status, answer.body) == (status, b"")
                    assert answer.header("Content-Security-Policy") == NOTHING
            # Our server's pages, through nginx.
            own = [site.ask("/none"), site.ask("/en/", method="POST")]
            own.append(site.ask("/", host=DOMAIN.upper() + ".", listener="onion"))
            assert [answer.status for answer in own] == [404, 405, 421]
            sent = str([answer.headers for answer in own])
            assert [style for style in STYLES if style in sent] == [current]

        check(STYLES[0])
        site.current.unlink()
        site.current.symlink_to(folder / "2")
        site.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "serving release 2" in site.server.errors.read_text(), START_TIMEOUT)
        check(STYLES[1])
    assert conf(1)["headers-onion.conf"] == conf(2)["headers-onion.conf"]
    for name in ("policy-onion.conf", "policy-clearnet.conf"):
        assert conf(1)[name] == conf(2)[name]


def test_every_error_of_nginx_itself_has_the_policy_without_a_page() -> None:
    """Whatever nginx answers by itself loads nothing, also while the server is hung or down."""
    limited = ("127.0.0.0/8 0;", ""), ("rate=50r/s", "rate=1r/m"), ("burst=200", "burst=3")
    hung = ("proxy_read_timeout 10s", "proxy_read_timeout 200ms")
    named = f"Host: {DOMAIN}\r\nConnection: close\r\n"
    long = f"GET / HTTP/1.1\r\n{named}X: {'x' * 9000}\r\n\r\n"
    foreign = "GET / HTTP/1.1\r\nHost: another.example\r\nConnection: close\r\n\r\n"
    challenge = f"GET /.well-known/acme-challenge/none HTTP/1.1\r\n{named}\r\n"
    page = f"GET /en/who-we-are.html?x HTTP/1.1\r\n{named}\r\n"
    answers: list[tuple[int, ReceivedResponse]] = []
    with short_folder() as folder, SiteBehindNginx(folder).running(hung) as site:

        def ask(status: int, request: str, listener: str = "clearnet") -> None:
            answers.append((status, read_answer(site.send(request.encode(), listener))))

        for listener in ("clearnet", "http"):
            ask(400, long, listener)
            ask(421, foreign, listener)
        ask(400, long, "onion")
        ask(404, challenge, "http")
        with socket.create_connection(("127.0.0.1", site.nginx.https), 10) as plain:
            plain.sendall(foreign.encode())  # http on the port of https
            answers.append((400, read_answer(plain.recv(65536))))
        for number, status in ((signal.SIGSTOP, 504), (signal.SIGKILL, 502)):
            site.server.process.send_signal(number)
            if number is signal.SIGKILL:
                site.server.process.wait()
            ask(status, page)
            ask(status, page.replace(DOMAIN, ONION), "onion")
    with short_folder() as folder, SiteBehindNginx(folder).running(*limited) as site:
        for listener, other in (("http", challenge), ("clearnet", page)):
            several = [site.send(other.encode(), listener) for _ in range(9)]
            answers.append((429, read_answer(several[-1])))
    for status, answer in answers:
        assert (answer.status, answer.body) == (status, b""), answer
        assert answer.header("Content-Security-Policy") == NOTHING, status
        assert answer.header("Server") is None


def test_the_limits_count_an_ipv6_network_as_one_reader() -> None:
    """nginx counts the addresses of one IPv6 /64 as one reader, as the firewall does."""
    with short_folder() as folder:
        nginx = DeployedNginx(folder)
        # Clients name their addresses themselves, and a second request in a minute is too many.
        named = "listen", "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; listen"
        port = f":{nginx.http}", f":{nginx.http} proxy_protocol"
        nginx.write(conf(1), named, port, ("rate=50r/s", "rate=1r/m"), ("burst=200", "burst=1"))

        # A redirect is answered before limits apply.
        path = "/.well-known/acme-challenge/none"

        def status(address: str) -> int:
            family = "TCP6" if ":" in address else "TCP4"
            head = f"PROXY {family} {address} {address} 1 2\r\nGET {path} HTTP/1.1\r\n"
            with nginx.connect("http") as link:
                link.sendall(f"{head}Host: {DOMAIN}\r\nConnection: close\r\n\r\n".encode())
                return int(link.recv(65536).split()[1])

        with nginx.running():
            six = [status(f"2001:db8:a:{net}::{host}") for net in (1, 2) for host in (1, 10, 11)]
            four = [status(f"192.0.2.{host}") for host in (1, 1, 1, 2)]
    assert six == [404, 404, 429, 404, 404, 429]
    assert four == [404, 404, 429, 404]
