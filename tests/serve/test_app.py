"""What a reader gets, over real sockets (``serve/app.py``)."""

from __future__ import annotations

import hashlib

import pytest
from support.serving import DOMAIN, ONION, ReceivedResponse, Server, Where, ask

from cccr_web.errors import CccrError
from cccr_web.release import Release, make_release
from cccr_web.serve.hosts import Hosts
from cccr_web.serve.policy import listener_policy
from cccr_web.serve.prepared import prepare

LISTENERS = ("clearnet", "onion")


@pytest.fixture(params=LISTENERS)
def endpoint(request: pytest.FixtureRequest, server: Server) -> tuple[Where, str]:
    """Each listener with the name that it answers to."""
    return (server.clearnet, DOMAIN) if request.param == "clearnet" else (server.onion, ONION)


def get(server: Server, target: str, *headers: tuple[str, str]) -> ReceivedResponse:
    """Ask the clearnet listener by its name."""
    return ask(server.clearnet, target, DOMAIN, *headers)


def without_date(answer: ReceivedResponse) -> list[tuple[str, str]]:
    """Return the headers without the date."""
    return [(name, value) for name, value in answer.headers if name != "Date"]


def test_every_file_is_served_byte_for_byte(endpoint: tuple[Where, str], release: Release) -> None:
    """Each file is served with the release's bytes, on both listeners."""
    where, host = endpoint
    for path, file in release.files.items():
        answer = ask(where, f"/{path}", host)
        assert (answer.status, answer.body) == (200, file.body), path
        assert answer.header("ETag") == f'"{file.sha256}"'


def test_a_folder_serves_its_index_page(server: Server, release: Release) -> None:
    """An address that ends in a slash serves the folder's index page, with the same ETag."""
    for folder in ("en/", "zh-hans/", "zh-hans/statements/"):
        answer = get(server, f"/{folder}")
        assert answer.body == release.files[f"{folder}index.html"].body
        assert answer.header("ETag") == get(server, f"/{folder}index.html").header("ETag")


@pytest.mark.parametrize("path", ["/en", "/zh-hans", "/en/statements"])
def test_a_folder_without_a_slash_gets_a_301(server: Server, path: str) -> None:
    """A folder's address without the slash redirects to the one with it."""
    answer = get(server, f"{path}?a=b")
    assert (answer.status, answer.header("Location"), answer.body) == (301, f"{path}/", b"")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/zh", "/zh-hans/"),
        ("/zh-cn/", "/zh-hans/"),
        ("/zh-TW", "/zh-hant/"),
        ("/zh_hk/", "/zh-hant/"),
        ("/EN/", "/en/"),
        ("/ZH-HANS/statements/", "/zh-hans/statements/"),
        ("/zh-tw/statements/index.html", "/zh-hant/statements/"),
        ("/En/verify.html?a=b", "/en/verify.html"),
    ],
)
def test_any_tag_of_a_language_redirects_to_its_pages(
    server: Server, path: str, location: str
) -> None:
    """A tag in any letter case, with or without a slash, leads to the page in that language."""
    answer = get(server, path)
    assert (answer.status, answer.header("Location"), answer.body) == (302, location, b"")
    assert get(server, "/zh-tw/none").status == 404
    assert get(server, "/fr/").status == 404


@pytest.mark.parametrize(
    "target", ["/", "/en", "/en/", "/SHA256SUMS", "/none", "/en/?x=1", "/zh-hans/none"]
)
def test_head_gets_the_headers_of_get(endpoint: tuple[Where, str], target: str) -> None:
    """HEAD gets the headers of GET and no body."""
    where, host = endpoint
    head = ask(where, target, host, method="HEAD")
    whole = ask(where, target, host)
    assert head.status == whole.status
    assert without_date(head) == without_date(whole)


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X"]
)
@pytest.mark.parametrize("target", ["/", "/en/", "/none"])
def test_other_methods_get_a_405_with_allow(server: Server, method: str, target: str) -> None:
    """Methods other than GET and HEAD get 405 with the allowed methods."""
    answer = ask(server.clearnet, target, DOMAIN, method=method)
    assert (answer.status, answer.header("Allow"), answer.body) == (405, "GET, HEAD", b"")


@pytest.mark.parametrize(
    ("accept", "slug"),
    [
        (None, "en"),
        ("", "en"),
        ("en-US,en;q=0.5", "en"),
        ("zh", "zh-hans"),
        ("ZH-cn", "zh-hans"),
        ("zh-TW", "zh-hant"),
        ("zh-Hans-CN", "zh-hans"),
        ("zh-Hant-HK;q=0.1", "zh-hant"),
        ("zh-Hant", "zh-hant"),
        ("zh-hk,zh;q=0.9", "zh-hant"),
        ("zh-MO", "zh-hant"),
        ("zh-Hans-TW", "zh-hans"),
        ("zh-SG", "zh-hans"),
        ("zh_CN", "zh-hans"),
        ("en-GB,zh;q=0.5", "en"),
        ("zh;q=0.5,en-GB", "en"),
        ("en;q=0.5,zh;q=0.6", "zh-hans"),
        ("en;q=0.5,zh;q=0.5", "en"),
        ("zh;q=0.5,en;q=0.5", "zh-hans"),
        ("fr,de;q=0.9,zh;q=0.1", "zh-hans"),
        ("en;q=0,zh;q=0.1", "zh-hans"),
        ("zh;q=0", "en"),
        ("zh-CN;q=0,zh-TW;q=0.2,en;q=0.1", "zh-hant"),
        ("fr", "en"),
        ("*", "en"),
        ("zhx,en", "en"),
        ("zh;q=x", "en"),
        (",;=,q;;zh", "en"),
        ("\xff\xfe", "en"),
        ("zh;q=1" + ",en;q=0.9" * 900, "zh-hans"),
    ],
)
def test_the_root_redirects_to_the_accepted_language(
    server: Server, accept: str | None, slug: str
) -> None:
    """The address / redirects to the language of Accept-Language."""
    headers = [("Accept-Language", accept)] if accept is not None else []
    answer = get(server, "/", *headers)
    assert (answer.status, answer.header("Location")) == (302, f"/{slug}/")
    assert answer.header("Vary") == "Accept-Language"
    assert answer.header("Cache-Control") == "no-cache"


@pytest.mark.parametrize("accept", ["zh-TW", "fr"])
@pytest.mark.parametrize(
    "target",
    [
        *("/none", "/en/none", "/zh-hans/none.html", "/zh-hans/statements/2013", "/zh-hanst/"),
        *("/en//", "/en/%00", "/en/index.html/", "/en/../SHA256SUMS", "/%ff%fe", "/en/errors/"),
    ],
)
def test_an_unknown_path_gets_the_404_page(
    server: Server, release: Release, target: str, accept: str
) -> None:
    """An unknown path gets the 404 page, which is the same in every language."""
    answer = get(server, target, ("Accept-Language", accept))
    assert answer.status == 404
    assert answer.body == release.files["404.html"].body
    assert answer.header("Vary") is None
    assert answer.header("ETag") is None


@pytest.mark.parametrize(
    "target",
    [
        *("//en/", "///en/", "/en//", "/./en/", "/en/./", "/en/../en/", "/%2e/en/", "/%65n/"),
        *("/en%2F", "/EN/", "/En/index.html", "/en/Index.html", "//SHA256SUMS"),
        "/zh%2Dhans/verify.html",
    ],
)
def test_another_spelling_of_a_path_is_never_a_200(
    endpoint: tuple[Where, str], target: str
) -> None:
    """Each resource has one path: others that a server could take for it get no 200."""
    where, host = endpoint
    assert ask(where, target, host).status != 200


BAD_HOSTS = [
    "",
    "evil.example",
    f"{DOMAIN}.",
    f"{DOMAIN}.evil.example",
    f"www.{DOMAIN}",
    f"evil.example, {DOMAIN}",
    f"evil@{DOMAIN}",
    f"{DOMAIN}:",
    f"{DOMAIN}:x",
    f"{DOMAIN}:123456",
    f"{DOMAIN}/evil",
    f"{DOMAIN} evil",
    f"{DOMAIN}\tevil",
    "[::1]",
    "127.0.0.1.evil.example",
    "<script>",
    "\xe5\xe4",
    "a" * 4000,
]


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("listener", LISTENERS)
def test_a_foreign_host_gets_a_421(
    server: Server, release: Release, listener: str, host: str
) -> None:
    """A foreign Host gets the 421 page, which does not repeat the name."""
    where = server.clearnet if listener == "clearnet" else server.onion
    for target in ("/en/", "/"):
        answer = ask(where, target, host)
        assert answer.status == 421
        assert answer.body == release.files["421.html"].body
        assert len(host) < 5 or host not in str(answer.headers)


def test_no_host_or_two_hosts_get_a_400(server: Server) -> None:
    """A request without a Host or with two is malformed (RFC 9112, section 3.2)."""
    assert ask(server.clearnet, "/en/").status == 400
    for first, second in ((DOMAIN, "evil.example"), ("evil.example", DOMAIN), (DOMAIN, DOMAIN)):
        assert ask(server.clearnet, "/en/", first, ("Host", second)).status == 400


def test_the_host_is_checked_first(server: Server, release: Release) -> None:
    """A foreign Host gets 421 even with a wrong method or path."""
    for method in ("POST", "GET"):
        answer = ask(server.clearnet, "/zh-hans/none", "evil.example", ("X", "y"), method=method)
        assert answer.status == 421
        assert answer.body == release.files["421.html"].body


@pytest.mark.parametrize("host", [DOMAIN, DOMAIN.upper(), f"{DOMAIN}:8443", "localhost:1"])
def test_the_clearnet_answers_to_its_domain_and_loopback(server: Server, host: str) -> None:
    """The domain in any case and with any port is accepted, and loopback names as well."""
    assert ask(server.clearnet, "/en/", host).status == 200


@pytest.mark.parametrize("host", [ONION, ONION.upper(), f"www.{ONION}", f"{ONION}:80"])
def test_the_onion_answers_to_its_address_with_and_without_www(server: Server, host: str) -> None:
    """The onion's address is accepted with and without www."""
    assert ask(server.onion, "/en/", host).status == 200


def test_a_listener_rejects_the_names_of_the_other(server: Server) -> None:
    """Neither listener answers to the other's names."""
    assert ask(server.onion, "/en/", DOMAIN).status == 421
    assert ask(server.onion, "/en/", "127.0.0.1").status == 421
    assert ask(server.clearnet, "/en/", ONION).status == 421


@pytest.mark.parametrize("host", [f"{ONION}.example", f"www.{ONION}.to:443", ONION])
def test_tor2web_requests_get_a_403(server: Server, release: Release, host: str) -> None:
    """A request through tor2web, detected by its Host or its header, gets the 403 page."""
    headers = [("X-Tor2web", "encrypted")] if host == ONION else []
    answer = ask(server.onion, "/zh-hans/verify.html", host, *headers)
    assert answer.status == 403
    assert answer.body == release.files["403.html"].body
    assert "example" not in str(answer.headers)


def test_the_clearnet_ignores_tor2web_headers(server: Server) -> None:
    """On the clearnet the tor2web header is ignored, and a tor2web name is foreign."""
    assert get(server, "/en/", ("X-Tor2web", "1")).status == 200
    assert ask(server.clearnet, "/en/", f"{ONION}.example").status == 421


def etag(release: Release) -> str:
    """Return the ETag of the English home page."""
    return f'"{hashlib.sha256(release.files["en/index.html"].body).hexdigest()}"'


@pytest.mark.parametrize("form", ["{}", "W/{}", '"a", {}', '{},"b"', "*"])
def test_a_matching_etag_gets_a_304(
    endpoint: tuple[Where, str], release: Release, form: str
) -> None:
    """A matching If-None-Match gets 304 with the headers and no body (RFC 9110, 15.4.5)."""
    where, host = endpoint
    answer = ask(where, "/en/", host, ("If-None-Match", form.format(etag(release))))
    assert (answer.status, answer.body) == (304, b"")
    whole = dict(ask(where, "/en/", host).headers)
    for name in ("Content-Type", "Content-Length", "Date"):
        del whole[name]
    assert {**dict(answer.headers), "Date": ""} == {**whole, "Date": ""}


@pytest.mark.parametrize("value", ['"a"', "", "x", '"', 'W/"a"', "{bare}"])
def test_another_or_malformed_etag_gets_the_page(
    server: Server, release: Release, value: str
) -> None:
    """An If-None-Match with another tag or a malformed one gets the page."""
    value = value.replace("{bare}", etag(release).strip('"')[:-1])
    assert get(server, "/en/", ("If-None-Match", value)).status == 200


def test_the_etag_is_the_listed_sha256(server: Server) -> None:
    """The ETag is the SHA-256 in SHA256SUMS, so that a person can compare them."""
    answer = get(server, "/SHA256SUMS")
    assert answer.header("ETag") == f'"{hashlib.sha256(answer.body).hexdigest()}"'


def test_a_small_file_ignores_ranges(server: Server, release: Release) -> None:
    """A range request for a small file gets the whole file."""
    answer = get(server, "/robots.txt", ("Range", "bytes=0-9"))
    assert (answer.status, answer.body) == (200, release.files["robots.txt"].body)


def test_the_list_is_always_revalidated(server: Server) -> None:
    """A page may be some minutes old, SHA256SUMS never."""
    assert get(server, "/SHA256SUMS").header("Cache-Control") == "no-cache"
    assert get(server, "/RELEASE.json").header("Cache-Control") == "no-cache"
    assert get(server, "/en/").header("Cache-Control") == "public, max-age=300"


@pytest.mark.parametrize(
    ("target", "tail"),
    [
        ("/en/", "/en/"),
        ("/en/?", "/en/"),
        ("/en/verify.html?a=b&c=%20%E4%B8%AD", "/en/verify.html?a=b&c=%20%E4%B8%AD"),
        ("/en/?a=%0d%0aX-Evil:%20y", "/en/?a=%0d%0aX-Evil:%20y"),
        ('/en/?<b>"|^`{}', "/en/?%3Cb%3E%22%7C%5E%60%7B%7D"),
        ("/en/?//evil.example", "/en/?//evil.example"),
        (f"http://{DOMAIN}/en/", "/en/"),
    ],
)
def test_onion_location_repeats_path_and_query(server: Server, target: str, tail: str) -> None:
    """Onion-Location is the page's own address on the onion, with path and query."""
    answer = get(server, target)
    assert answer.status == 200
    assert answer.header("Onion-Location") == f"http://{ONION}{tail}"
    assert "X-Evil" not in dict(answer.headers)


def test_onion_location_escapes_bytes_of_the_query(release: Release) -> None:
    """Bytes of the query that are not ASCII are escaped in Onion-Location."""
    policy, hosts = (
        listener_policy("clearnet", release.metadata, (ONION,)),
        Hosts(frozenset({DOMAIN})),
    )
    app = prepare(release, [(policy, hosts)])[0].flask
    environ = {"QUERY_STRING": "a=\xe9"}
    reply = app.test_client().get("/en/", headers={"Host": DOMAIN}, environ_overrides=environ)
    assert reply.headers["Onion-Location"] == f"http://{ONION}/en/?a=%E9"


@pytest.mark.parametrize("target", ["/", "/en", "/SHA256SUMS", "/RELEASE.json", "/none", "/en/x"])
def test_only_pages_have_an_onion_location(server: Server, target: str) -> None:
    """Only pages that exist have an Onion-Location."""
    assert get(server, target).header("Onion-Location") is None


def test_proxy_headers_change_nothing(endpoint: tuple[Where, str]) -> None:
    """Headers of proxies change neither the response nor the logs."""
    where, host = endpoint
    plain = ask(where, "/en/", host)
    forged = ask(
        where,
        "/en/",
        host,
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Prefix", "/evil"),
        ("Forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
        ("X-Original-URL", "/none"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Cookie", "session=evil"),
        ("Authorization", "Basic ZXZpbA=="),
        ("Origin", "https://evil.example"),
    )
    assert forged.body == plain.body
    assert without_date(forged) == without_date(plain)


def test_a_file_of_unknown_type_is_rejected(release: Release) -> None:
    """A release with a file of an unknown media type is rejected at the start."""
    files = {path: file.body for path, file in release.files.items() if path[0].islower()}
    foreign = make_release({**files, "en/program.exe": b""}, release.metadata)
    with pytest.raises(CccrError, match=r"^en/program\.exe: the server knows no media type"):
        prepare(foreign, [(listener_policy("onion", release.metadata), Hosts(frozenset({ONION})))])
