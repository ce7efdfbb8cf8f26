"""Uploads of a mirror to real servers: sshd, rclone's WebDAV, and moto's S3."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from support.command import run
from support.hostile import Hostile
from support.hosting import short_folder
from support.policies import TWO_OF_THREE, policy_release
from support.signed import KEY, PUBLIC, content, facts, put, put_release, signed_release
from support.tornet import free_ports
from support.web_servers import program, running_server

from cccr_web.mirror import StaticHost
from cccr_web.mirror.host import upload_order
from cccr_web.notices import MIRRORS, make_mirrors
from cccr_web.release import Release, Signer, load, make_release
from cccr_web.serve import file_headers, listener_policy
from cccr_web.watch import Address, CheckSettings, RequestLimits, check_manifests

LISTED = ("https://cccr.example", f"http://{'a' * 56}.onion")


KEY_OPTION = ("--public-key", PUBLIC)


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder for a server and for what it serves."""
    with short_folder() as folder:
        yield folder


def push(
    *targets: object, release: Release | Path, folder: Path, trust: tuple[object, ...] = KEY_OPTION
) -> Result:
    """Push a release to targets, by default with the tests' key."""
    path = release if isinstance(release, Path) else folder / "release"
    if isinstance(release, Release):
        shutil.rmtree(path, ignore_errors=True)
        put_release(release, path)
    return run("mirror", "push", *targets, "--release", path, *trust)


def instead_of(name: str, folder: Path, script: str, patch: pytest.MonkeyPatch) -> None:
    """Let a script run in place of a program, which is ``$REAL`` in it."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    real = program(name)
    file = folder / "bin" / name
    file.write_text(f"#!/bin/bash\nREAL={real}\n{script}\n")
    file.chmod(0o755)
    patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")


@dataclass(frozen=True, slots=True)
class SshServer:
    """A host with sshd on loopback: its address for uploads, and the folder that they fill."""

    url: str
    root: Path

    def site(self) -> dict[str, bytes]:
        """Return what a web server on it serves."""
        found = load(self.root / "current/site", PUBLIC)
        return {path: file.body for path, file in found.files.items()}


@pytest.fixture
def ssh(work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """An sshd that lets this user in with a key."""
    (port,) = free_ports(1)
    for name in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / name)]
        subprocess.run(command, check=True)
    public = (work / "host.pub").read_text()
    (work / "known").write_text(f"[127.0.0.1]:{port} {public}")
    (work / "sshd.conf").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {work}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {work}/client.pub\nStrictModes no\nPasswordAuthentication no\n"
        f"PermitRootLogin yes\nPermitUserRC no\n"
    )
    (work / "ssh.conf").write_text(
        f"IdentityFile {work}/client\nIdentitiesOnly yes\nUserKnownHostsFile {work}/known\n"
        f"StrictHostKeyChecking yes\nBatchMode yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    instead_of("ssh", work, f'exec "$REAL" -F {work}/ssh.conf "$@"', monkeypatch)
    command = [program("sshd"), "-D", "-e", "-f", str(work / "sshd.conf")]
    with running_server(command, port, work):
        root = work / "srv" / "mirror"
        yield SshServer(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{root}", root)


@pytest.fixture
def webdav(work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A WebDAV server, which rclone calls ``dav``; yield the folder that it serves."""
    (port,) = free_ports(1)
    root = work / "dav"
    root.mkdir()
    configure(monkeypatch, work, DAV_TYPE="webdav", DAV_VENDOR="other")
    monkeypatch.setenv("RCLONE_CONFIG_DAV_URL", f"http://127.0.0.1:{port}")
    command = [program("rclone"), "serve", "webdav", str(root), "--addr", f"127.0.0.1:{port}"]
    command += ["--dir-cache-time", "0s"]  # the tests change its files themselves
    with running_server(command, port, work):
        yield root


@pytest.fixture
def s3(work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dict[str, str]]]:
    """An S3 server, which rclone calls ``s3``; yield a function that returns a file's headers."""
    (port,) = free_ports(1)
    configure(
        monkeypatch,
        work,
        S3_TYPE="s3",
        S3_PROVIDER="Other",
        S3_ENDPOINT=f"http://127.0.0.1:{port}",
        S3_ACCESS_KEY_ID="x",
        S3_SECRET_ACCESS_KEY="x",
        S3_ACL="public-read",
    )

    def get(path: str) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", f"/mirror/{path}")
            response = connection.getresponse()
            headers = {name.title(): value for name, value in response.getheaders()}
            return {**headers, "body": response.read().hex(), "status": str(response.status)}

    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running_server(command, port, work):
        subprocess.run(["rclone", "mkdir", "s3:mirror"], check=True)
        yield get


def configure(patch: pytest.MonkeyPatch, folder: Path, **settings: str) -> None:
    """Configure rclone by its environment alone."""
    (folder / "rclone.conf").touch()
    patch.delenv("AWS_CA_BUNDLE", raising=False)  # rclone 1.60 cannot use it
    patch.setenv("RCLONE_CONFIG", str(folder / "rclone.conf"))
    for name, value in settings.items():
        patch.setenv(f"RCLONE_CONFIG_{name}", value)


def bodies(release: Release) -> dict[str, bytes]:
    """Return path → content."""
    return {path: file.body for path, file in release.files.items()}


def files_in(folder: Path) -> dict[str, bytes]:
    """Return path → content of each file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_host_over_ssh_switches_by_a_link(ssh: SshServer, tmp_path: Path) -> None:
    """Each release has a folder with its headers; the one before stays, and older ones go."""
    for sequence in (1, 2, 3):
        done = push(ssh.url, release=signed_release(sequence), folder=tmp_path)
        assert (done.exit_code, done.output.count("is now at")) == (0, 1), done.output
        assert ssh.site() == bodies(signed_release(sequence))
    names = {path.name.partition("-")[0] for path in (ssh.root / "releases").iterdir()}
    assert names == {"2", "3"}
    assert (ssh.root / "current").readlink() == Path(
        f"releases/3-{signed_release(3).manifest_sha256}"
    )
    assert (ssh.root / "current/headers/nginx.conf").is_file()
    assert (ssh.root / "current/site/en/index.html").stat().st_mode & 0o777 == 0o644
    # What did not change is one file for both releases.
    unchanged = "current/site/minisign.pub"
    assert (ssh.root / unchanged).stat().st_nlink == 2


def test_a_reader_always_finds_a_whole_release_over_ssh(ssh: SshServer, tmp_path: Path) -> None:
    """While releases are uploaded, the link leads to a complete one at all times."""
    push(ssh.url, release=signed_release(1), folder=tmp_path)
    stop, seen = threading.Event(), set()
    lists = {number: bodies(signed_release(number))["SHA256SUMS"] for number in (1, 2, 3)}

    def read() -> None:
        while not stop.is_set():
            folder = (ssh.root / "current").resolve(strict=True)
            number = int(folder.name.partition("-")[0])
            assert (folder / "site/SHA256SUMS").read_bytes() == lists[number]
            assert (folder / "site/zh-hans/who-we-are.html").exists()
            seen.add(number)

    failed: list[BaseException] = []

    def watch() -> None:
        try:
            read()
        except (OSError, AssertionError) as error:
            failed.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    for number in (2, 3):
        push(ssh.url, release=signed_release(number), folder=tmp_path)
    stop.set()
    thread.join()
    assert failed == []
    assert seen == {1, 2, 3}


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_an_upload_over_ssh_that_fails_can_be_repeated(
    ssh: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whichever step is cut off, the host has a whole release, and the next run completes it."""
    push(ssh.url, release=signed_release(1), folder=tmp_path)
    count = tmp_path / "count"
    # It stops when it has sent a part.
    script = (
        f'echo >>{count}; [ "$(wc -l <{count})" = {failing} ] || exec "$REAL" "$@"\n'
        '"$REAL" --exclude=SHA256SUMS "$@"; echo "rsync: cut off" >&2; exit 30'
    )
    instead_of("rsync", tmp_path, script, monkeypatch)
    done = push(ssh.url, release=signed_release(2), folder=tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{ssh.url}: rsync failed: rsync: cut off Run the command again." in done.stderr
    assert ssh.site() == bodies(signed_release(1 if failing < 3 else 2))
    assert push(ssh.url, release=signed_release(2), folder=tmp_path).exit_code == 0
    assert ssh.site() == bodies(signed_release(2))


def test_pushing_again_repairs_a_host_over_ssh(ssh: SshServer, tmp_path: Path) -> None:
    """A changed file of the same size and an extra file are put right."""
    push(ssh.url, release=signed_release(1), folder=tmp_path)
    page = ssh.root / "current/site/en/index.html"
    status = page.stat()
    page.write_bytes(page.read_bytes()[::-1])
    os.utime(page, ns=(status.st_atime_ns, status.st_mtime_ns))
    (ssh.root / "current/site/app.apk").write_bytes(b"PK")
    push(ssh.url, release=signed_release(1), folder=tmp_path)
    assert ssh.site() == bodies(signed_release(1))


def test_a_host_over_ssh_takes_no_older_release(ssh: SshServer, tmp_path: Path) -> None:
    """Neither an older release nor another of the same sequence replaces the one that is there."""
    push(ssh.url, release=signed_release(2), folder=tmp_path)
    done = push(ssh.url, release=signed_release(1), folder=tmp_path)
    assert done.exit_code == 1
    assert f"Release 1 is older than release 2, which is at {ssh.url}." in done.stderr
    other = Signer(KEY).sign(make_release({"en/index.html": b"x"}, facts(2)))
    assert "SHA256SUMS differs" in push(ssh.url, release=other, folder=tmp_path).stderr
    assert ssh.site() == bodies(signed_release(2))


def test_a_folder_of_somebody_else_is_left_alone(ssh: SshServer, tmp_path: Path) -> None:
    """A link that this command did not make is an error."""
    ssh.root.mkdir(parents=True)
    (ssh.root / "current").symlink_to("/srv/other")
    done = push(ssh.url, release=signed_release(2), folder=tmp_path)
    assert done.exit_code == 1
    assert "/current is not a link that this command made. Choose another folder." in done.stderr
    assert sorted(path.name for path in ssh.root.iterdir()) == ["current"]


def test_a_host_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """The error says which host failed, and why."""
    (port,) = free_ports(1)
    target = f"ssh://nobody@127.0.0.1:{port}/srv/mirror"
    done = push(target, release=signed_release(2), folder=tmp_path)
    assert done.exit_code == 1
    assert f"{target}: rsync failed: ssh: connect to host 127.0.0.1 port {port}" in done.stderr


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rsync or rclone, the error names the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    done = push("dav:", release=signed_release(2), folder=tmp_path)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        1,
        "rclone is missing. apt-get install rclone",
    )


def test_a_webdav_host_gets_the_site(webdav: Path, tmp_path: Path) -> None:
    """It has exactly the release's files; those of the release before go, and others stay."""
    old = Signer(KEY).sign(make_release({"en/old.html": b"x", **content(1)}, facts(1)))
    assert push("dav:site", release=old, folder=tmp_path).exit_code == 0
    put({"site/CNAME": b"mirror.example"}, webdav)
    # As after an upload that was killed: the same size, and a newer time.
    page = webdav / "site/minisign.pub"
    page.write_bytes(page.read_bytes()[::-1])
    done = push("dav:site", release=signed_release(2), folder=tmp_path)
    assert done.exit_code == 0, done.output
    assert "is now at dav:site. It cannot switch in one step" in done.stdout
    expected = {**bodies(signed_release(2)), "CNAME": b"mirror.example"}
    assert files_in(webdav / "site") == expected


@pytest.mark.parametrize("cut_off", [False, True])
def test_no_signature_of_an_earlier_release_stays(
    webdav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cut_off: bool
) -> None:
    """Each release replaces the signatures by other signers, also after an upload was cut off."""
    (tmp_path / "policy.txt").write_bytes(TWO_OF_THREE.to_file())
    policy = ("--policy", tmp_path / "policy.txt")
    assert push("dav:site", release=signed_release(1), folder=tmp_path).exit_code == 0
    for sequence, names in ((2, ("editor", "second")), (3, ("lawyer", "second"))):
        release = policy_release(*names, sequence=sequence)
        if cut_off:  # nothing is removed
            with monkeypatch.context() as patch:
                script = '[ "$2" != delete ] || exit 7; exec "$REAL" "$@"'
                instead_of("rclone", tmp_path / str(sequence), script, patch)
                done = push("dav:site", release=release, folder=tmp_path, trust=policy)
                assert done.exit_code == 1
        done = push("dav:site", release=release, folder=tmp_path, trust=policy)
        assert done.exit_code == 0, done.output
        there = {path.name: path.read_bytes() for path in (webdav / "site").glob("SHA256SUMS.*")}
        assert there == release.signatures
    put({"site/SHA256SUMS.mallory.sshsig": b"", "site/SHA256SUMS.txt": b"mine"}, webdav)
    assert push("dav:site", release=signed_release(4), folder=tmp_path).exit_code == 0
    there = {path.name: path.read_bytes() for path in (webdav / "site").glob("SHA256SUMS.*")}
    assert there == {**signed_release(4).signatures, "SHA256SUMS.txt": b"mine"}


def test_a_webdav_host_takes_no_older_release(webdav: Path, tmp_path: Path) -> None:
    """Neither an older release nor one after a damaged list is uploaded."""
    push("dav:site", release=signed_release(2), folder=tmp_path)
    done = push("dav:site", release=signed_release(1), folder=tmp_path)
    assert done.exit_code == 1
    assert "Release 1 is older than release 2, which is at dav:site." in done.stderr
    (webdav / "site/SHA256SUMS").write_bytes(b"mine")
    done = push("dav:site", release=signed_release(3), folder=tmp_path)
    assert done.exit_code == 1
    assert "The release at dav:site is damaged: SHA256SUMS is empty or cut off" in done.stderr
    assert "remove its SHA256SUMS." in done.stderr


def test_the_signed_list_is_uploaded_last(
    webdav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that is cut off before the list leaves the old list, and removes no file."""
    old = Signer(KEY).sign(make_release({"en/old.html": b"x", **content(1)}, facts(1)))
    push("dav:site", release=old, folder=tmp_path)
    log = tmp_path / "log"
    script = (
        'list=${1#--files-from-raw=}; [ "$3" = --no-check-dest ] || exec "$REAL" "$@"\n'
        f"grep -q SHA256SUMS $list && exit 7; cat $list >>{log}\n"
        'exec "$REAL" "$@"'
    )
    instead_of("rclone", tmp_path, script, monkeypatch)
    done = push("dav:site", release=signed_release(2), folder=tmp_path)
    assert (done.exit_code, "dav:site: rclone failed: status 7" in done.stderr) == (1, True)
    paths = [path for path in log.read_text().splitlines() if path != "RELEASE.json"]
    pages = [path for path in paths if path.endswith(".html")]
    first = paths.index(pages[0])
    assert not any(path.endswith(".html") for path in paths[:first])
    assert {"cccr-web.zip", "onion.png", "favicon.ico"} <= {*paths[:first]}
    indexes = [path for path in pages if path.endswith("/index.html")]
    assert {*paths[-3:]} == {*indexes, "en/feed.xml"}
    there = files_in(webdav / "site")
    assert there["SHA256SUMS"] == bodies(old)["SHA256SUMS"]
    assert there["en/old.html"] == b"x"


def test_the_order_of_an_upload_has_every_file_once() -> None:
    """No file is left out or uploaded twice."""
    release = signed_release(2)
    paths = [path for group, _ in upload_order(release, "clearnet") for path in group]
    assert sorted(paths) == sorted(release.files)


def test_archives_of_feeds_are_uploaded_before_the_feed_that_links_to_them() -> None:
    """A client that follows feed.xml during an upload finds its archives."""
    names = ("en/feed.xml", "en/feed/2013-a.atom", "en/index.html")
    release = make_release({**content(2), **dict.fromkeys(names, b"x")}, facts(2))
    paths = [path for group, _ in upload_order(release, "clearnet") for path in group]
    assert paths.index("en/feed/2013-a.atom") < paths.index("en/feed.xml")


def test_s3_stores_the_headers_that_it_can(
    s3: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    """Every object has the release's bytes, and our Content-Type and Cache-Control."""
    done = push("s3:mirror", release=signed_release(2), folder=tmp_path)
    assert done.exit_code == 0, done.output
    release = signed_release(2)
    headers = file_headers(release, listener_policy("clearnet", release.metadata))
    for path, file in release.files.items():
        found = s3(path)
        assert (found["status"], found["body"]) == ("200", file.body.hex()), path
        for name in ("Content-Type", "Cache-Control"):
            assert found[name] == headers[f"/{path}"][name], path


def with_mirrors(sequence: int) -> Release:
    """Return a release with a ``mirrors.txt``."""
    files = {**content(sequence), MIRRORS: make_mirrors(KEY, date.today(), LISTED)}
    return Signer(KEY).sign(make_release(files, facts(sequence)))


def test_without_targets_the_addresses_in_mirrors_txt_are_asked(tmp_path: Path) -> None:
    """Each that does not serve the release is named; onions are asked only with --socks."""
    done = push(release=with_mirrors(2), folder=tmp_path)
    assert done.exit_code == 0, done.output
    onion, clearnet, last = done.stdout.splitlines()
    assert onion == f"{LISTED[1]}: not asked, because it needs --socks."
    assert clearnet.startswith("https://cccr.example does not serve it yet: ")
    assert last == "mirrors.txt: 0 of 2 have release 2."
    done = push(release=signed_release(2), folder=tmp_path)
    assert done.stdout == "The release has no mirrors.txt, so no mirror was asked.\n"


def test_an_address_with_an_older_release_is_noticed() -> None:
    """Only the signed list is fetched to find out."""
    settings = CheckSettings(PUBLIC, RequestLimits(60.0))
    with Hostile(signed_release(1)) as old, Hostile(signed_release(2)) as new:
        addresses = [Address.parse(server.url) for server in (old, new)]
        behind, good = check_manifests(addresses, settings, signed_release(2))
        assert [found.detail for found in behind.differences] == ["release 1, not 2"]
        assert good.differences == ()
        assert len(new.asked) == 4
    assert check_manifests([], settings, signed_release(2)) == ()


def test_an_expired_or_changed_release_is_not_uploaded(webdav: Path, tmp_path: Path) -> None:
    """The release is verified before anything is uploaded."""
    put_release(signed_release(2), tmp_path / "changed")
    (tmp_path / "changed/en/index.html").write_bytes(b"x")
    done = push("dav:site", release=tmp_path / "changed", folder=tmp_path)
    assert (done.exit_code, "not the file that SHA256SUMS lists" in done.stderr) == (1, True)
    assert files_in(webdav) == {}


@pytest.mark.parametrize(
    "text",
    [
        *("ssh://host", "ssh://host/", "ssh://-oProxyCommand=x/srv", "ssh://host/a b", "ftp://a/b"),
        *("ssh://host/a;reboot", "ssh://u:password@host/a", "host", ":s3:bucket", "-x:y", "a:\n"),
    ],
)
def test_other_targets_are_rejected(text: str) -> None:
    """A target can be neither an option nor a command of the programs, nor hold a password."""
    with pytest.raises(ValueError, match="is n"):
        StaticHost.parse(text)


@pytest.mark.parametrize("text", ["ssh://root@mirror.example:2222/srv/m", "ssh://m/srv", "s3:a/b"])
def test_a_target_is_shown_as_it_was_given(text: str) -> None:
    """A message names it in the form in which it can be passed again."""
    assert str(StaticHost.parse(text)) == text
