"""``headers`` prints the header policy for other servers, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import run
from support.nginx import HEADERS_MORE, running_nginx
from support.serving import DOMAIN, ONION, Server, ask, read_answer, talk
from support.signed import organisation_key, put_release, signed_release

from cccr_web.mirror import FORMATS, write_mirror
from cccr_web.release import Release

# The files that a mirror has, and the format of each.
FILES = {
    "nginx.conf": "nginx",
    "Caddyfile": "caddy",
    "_headers": "netlify",
    "_redirects": "netlify-redirects",
}
# These depend on the time and the connection.
NOT_POLICY = {"Connection", "Content-Length", "Date"}


def rules(*words: str | Path) -> str:
    """Return what the command prints."""
    done = run("headers", *words)
    assert done.exit_code == 0, done.output
    return done.stdout


def printed(*words: str | Path) -> dict[str, str]:
    """Return the headers that the command prints in the format “text”."""
    return dict(line.split(": ", 1) for line in rules(*words).splitlines())


@pytest.mark.parametrize("listener", ["clearnet", "onion"])
def test_the_text_lists_the_headers_of_the_servers_own_errors(
    server: Server, release_folder: Path, listener: str
) -> None:
    """The text lists exactly the headers of the server's own 400, for each listener."""
    where = server.clearnet if listener == "clearnet" else server.onion
    answer = read_answer(talk(where, b"nothing\r\n\r\n"))
    assert answer.status == 400
    ours = {name.lower(): value for name, value in answer.headers if name not in NOT_POLICY}
    found = printed("--release", release_folder, listener)
    assert {name.lower(): value for name, value in found.items()} == ours
    assert found["Cache-Control"] == "no-cache"
    assert ("Strict-Transport-Security" in found) is (listener == "clearnet")
    assert ask(server.clearnet, "/", DOMAIN).header("Server") is None


def test_a_release_with_a_bad_signature_is_rejected(tmp_path: Path) -> None:
    """With --public-key, a release that was changed is rejected."""
    put_release(signed_release(1), tmp_path)
    words: list[str | Path] = ["--release", tmp_path]
    words += ["--public-key", str(organisation_key().public)]
    assert printed(*words, "onion")
    (tmp_path / "RELEASE.json").write_text("{}")
    done = run("headers", *words, "onion")
    assert done.exit_code == 1
    assert "RELEASE.json" in done.stderr


def test_a_zip_has_the_headers_of_its_folder(release_folder: Path) -> None:
    """The release may be a ZIP, as for the other commands that read one."""
    zipped = release_folder / "cccr-web.zip"
    assert printed("--release", zipped, "onion") == printed("--release", release_folder, "onion")


def test_hsts_covers_subdomains_only_on_request(release_folder: Path) -> None:
    """With --hsts-preload HSTS covers all subdomains on the clearnet; the onion has none."""
    clearnet, onion = (
        printed("--hsts-preload", "--release", release_folder, listener)
        for listener in ("clearnet", "onion")
    )
    value = "max-age=63072000; includeSubDomains; preload"
    assert clearnet["Strict-Transport-Security"] == value
    assert "Strict-Transport-Security" not in onion


def test_json_holds_the_same_headers_as_the_text(release_folder: Path) -> None:
    """The JSON object holds the same headers as the text."""
    words = ["--release", str(release_folder), "onion"]
    assert json.loads(rules("--format", "json", *words)) == printed(*words)


def test_formats_for_static_hosts_equal_the_files_of_a_mirror(
    release: Release, release_folder: Path, tmp_path: Path
) -> None:
    """The formats for static hosts print the files that ``mirror`` writes."""
    write_mirror(release, tmp_path)
    for name, rule_format in FILES.items():
        text = rules("--release", release_folder, "--format", rule_format, "clearnet")
        assert text == (tmp_path / "headers" / name).read_text()


def test_an_unknown_format_is_rejected_and_the_help_names_all(release_folder: Path) -> None:
    """An unknown format is wrong usage; the error and the help name every format."""
    words = ["headers", "--release", str(release_folder), "--format", "iis", "onion"]
    done = run(*words)
    assert done.exit_code == 2
    shown = run("headers", "--help").stdout
    for name in FORMATS:
        assert name in done.stderr
        assert f'"{name}"' in shown


def test_a_folder_gets_a_file_for_each_listener_and_format(
    release_folder: Path, tmp_path: Path
) -> None:
    """With --out, one call writes what a call for each listener and format prints."""
    words = ["--release", str(release_folder), "--hsts-preload"]
    formats = ("nginx-proxy-server", "json")
    many = [word for name in formats for word in ("--format", name)]
    assert rules(*words, "--out", tmp_path, *many, "onion", "clearnet") == ""
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert written == {
        f"{listener}.{name}": rules(*words, "--format", name, listener)
        for listener in ("onion", "clearnet")
        for name in formats
    }
    for several in ([*many, "onion"], ["onion", "clearnet"]):
        done = run("headers", *words, *several)
        assert done.exit_code == 2
        assert "Add --out FOLDER." in done.stderr


@pytest.mark.parametrize("listener", ["clearnet", "onion"])
def test_nginx_as_a_proxy_sends_the_policy_with_its_own_errors_only(
    server: Server, release_folder: Path, tmp_path: Path, listener: str
) -> None:
    """nginx adds the policy to its own errors, and passes the server's headers on unchanged."""
    where = server.clearnet if listener == "clearnet" else server.onion
    host = DOMAIN if listener == "clearnet" else ONION
    upstream = f"unix:{where}" if isinstance(where, Path) else f"{where[0]}:{where[1]}"
    for name in ("http", "server"):
        rule_format = ("--format", f"nginx-proxy-{name}")
        (tmp_path / name).write_text(rules("--release", release_folder, *rule_format, listener))
    with running_nginx(
        tmp_path,
        modules=HEADERS_MORE,
        http=f"map_hash_bucket_size 256; include {tmp_path}/http;",
        server=f"include {tmp_path}/server; proxy_set_header Host {host};"
        "location /dead/ { proxy_pass http://unix:/none; }"
        "location = /429 { return 429; }"
        f"location / {{ proxy_http_version 1.1; proxy_pass http://{upstream}; }}",
    ) as url:
        proxy = ("127.0.0.1", int(url.rpartition(":")[2]))
        expected = {k.lower(): v for k, v in printed("--release", release_folder, listener).items()}
        for path, status in (("/dead/", 502), ("/429", 429)):
            error = ask(proxy, path, host)
            assert error.status == status
            found = {k.lower(): v for k, v in error.headers if k not in NOT_POLICY}
            assert found.pop("content-type") == "text/html"
            assert found == expected
        for path in ("/en/", "/SHA256SUMS", "/none"):
            passed, ours = (
                sorted((k.lower(), v) for k, v in answer.headers if k != "Date")
                for answer in (ask(proxy, path, host), ask(where, path, host))
            )
            assert passed == ours
