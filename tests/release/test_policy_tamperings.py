"""Whatever one stolen key can do, every verifier rejects it with a clear message."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.attacks.policies import TAMPERINGS, Tampering, good_release, recorded_release
from support.command import run, run_script
from support.policies import CHAIN, TWO_OF_THREE, chained_release
from support.signed import put_release

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import (
    PolicyChain,
    Release,
    RollbackGuard,
    SigningPolicy,
    load,
    verify_in_subprocess,
)
from cccr_web.serve import Source
from cccr_web.standalone import verify as verify_py
from cccr_web.watch import Address, CheckSettings, DifferenceKind, RequestLimits, check_sites

_SEEN = {
    DifferenceKind.BAD_SIGNATURE,
    DifferenceKind.CHANGED,
    DifferenceKind.MISSING,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a release."""
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def address(folder: Path) -> Iterator[Address]:
    """The folder on a static host."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Address.parse(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


def seen_by_watch(
    address: Address, release: Release, trusted: SigningPolicy
) -> set[tuple[str, str]]:
    """Return the differences of files that watch finds."""
    settings = CheckSettings(trusted, RequestLimits(30))
    (site,) = check_sites([address], settings).sites
    listed = {f"/{path}" for path in release.files}
    return {
        (found.path, found.detail)
        for found in site.differences
        if found.kind in _SEEN and (site.sequence is None or found.path in listed)
    }


@pytest.mark.parametrize(
    ("release", "trusted"),
    [
        (good_release(), TWO_OF_THREE),
        (recorded_release(), TWO_OF_THREE),
        *((chained_release(), each) for each in CHAIN.policies),
    ],
    ids=["good", "recorded", "key", "earlier", "newest"],
)
def test_the_good_release_is_accepted(
    release: Release, trusted: SigningPolicy, folder: Path, address: Address, tmp_path: Path
) -> None:
    """Without a change, all four verifiers accept it, with each fingerprint that leads to it."""
    put_release(release, folder)
    (tmp_path / "policy").write_bytes(trusted.to_file())
    Source(folder, trusted, RollbackGuard(tmp_path / "state"), verify_in_subprocess).load()
    assert run("verify", folder, "--policy", tmp_path / "policy").exit_code == 0
    for path in (folder, folder / "cccr-web.zip"):
        done = run_script(Path(verify_py.__file__), path, trusted.fingerprint)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert not seen_by_watch(address, release, trusted)


def test_there_are_at_least_a_hundred_and_fifty_tamperings() -> None:
    """Each has a name of its own."""
    assert len({each.name for each in TAMPERINGS}) == len(TAMPERINGS) >= 150


@pytest.mark.parametrize("each", TAMPERINGS, ids=lambda each: each.name)
def test_every_verifier_rejects(
    each: Tampering,
    folder: Path,
    address: Address,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server, “verify”, verify.py and “watch” reject it, each with a sentence."""
    put_release(each.release(), folder)
    each.change(folder)
    (tmp_path / "policy").write_bytes(each.trusted.to_file())
    with pytest.raises(CccrError) as caught:
        Source(folder, each.trusted, RollbackGuard(tmp_path / "state")).load()
    assert caught.value.problem.endswith(".")
    result = run("verify", folder, "--policy", tmp_path / "policy")
    assert (result.exit_code, str(caught.value) in result.stderr) == (1, True), result.stderr
    status = verify_py.main([str(folder), each.trusted.fingerprint])
    assert status == (3 if each.genuine else 1), capsys.readouterr().out
    if each.remote:
        assert seen_by_watch(address, each.release(), each.trusted)


def test_the_limit_counts_the_zip_that_is_not_listed(folder: Path) -> None:
    """A release under a policy has the same limit: all of its files, the ZIP among them."""
    put_release(good_release(), folder)
    size = sum(len(file.body) for file in good_release().files.values())
    assert load(folder, TWO_OF_THREE, limit=size) == good_release()
    with pytest.raises(ReleaseError, match="more than --max-megabytes allows"):
        load(folder, TWO_OF_THREE, limit=size - 1)


def test_a_single_file_is_checked_with_the_chain_that_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A keys.txt with other bytes is not that of the release, wherever it leads."""
    put_release(chained_release(), folder)
    command = [str(folder / "en/index.html"), CHAIN.policies[1].fingerprint]
    assert verify_py.main(command) == 0
    before, last = CHAIN.links[:-1], CHAIN.links[-1]
    turned = replace(last, signatures=last.signatures[::-1])
    (folder / "keys.txt").write_bytes(PolicyChain((*before, turned)).to_file())
    assert verify_py.main(command) == 1
    assert "keys.txt was changed." in capsys.readouterr().out
