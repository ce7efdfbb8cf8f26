"""The page “How to verify” when several people sign: what it says, and that its commands work."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest
from support.policies import EDITOR, SECURITY_KEY, SSH_KEY, TWO_OF_THREE, signatures
from support.signed import put_release
from support.texts import texts_with_signers

from cccr_web.config import find_tree
from cccr_web.errors import CccrError
from cccr_web.release import MANIFEST, Release, add_signature
from cccr_web.render import build_release

SLUGS = ("en", "zh-hans", "zh-hant")
KEYS = {"editor": EDITOR.public, "lawyer": SECURITY_KEY, "second": SSH_KEY}


def built(folder: Path, threshold: int = 2) -> Release:
    """Return a release of the real texts with the three signers."""
    texts = texts_with_signers(folder, TWO_OF_THREE, threshold)
    return build_release(texts, find_tree("templates"))


def page(release: Release, slug: str) -> str:
    """Return the page in a language."""
    return release.files[f"{slug}/verify.html"].body.decode()


def commands(release: Release) -> list[str]:
    """Return the commands of the page that name its own files, as a reader copies them."""
    blocks = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page(release, "en"), re.DOTALL)
    return [html.unescape(block) for block in blocks if "FOLDER" not in block]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The real texts, unsigned."""
    return built(tmp_path_factory.mktemp("texts"))


@pytest.mark.parametrize("slug", SLUGS)
def test_the_page_explains_two_of_three_and_shows_every_signer(release: Release, slug: str) -> None:
    """Four sentences, then files to fetch, names, keys and the one fingerprint."""
    text = page(release, slug)
    (explained,) = re.findall(r"<p>([^<]*(?:stolen key|密钥|金鑰|密鑰)[^<]*)</p>", text)
    assert len(re.findall(r"[.。](?: |$)?", explained.replace("verify.py", ""))) == 4
    numbers = re.findall(r"(\d) of (\d) must|(\d)人之中，至少要有(\d)人", explained)[0]
    assert {*filter(None, numbers)} == {"2", "3"}
    assert TWO_OF_THREE.fingerprint in text
    for signer in TWO_OF_THREE.signers:
        assert f'<dt translate="no">{signer.name}</dt>' in text
        assert f'<code translate="no">{html.escape(str(signer.key))}</code>' in text
        assert f'href="../{signer.file}"' in text
    for name in ("SHA256SUMS", "policy.txt", "verify.py"):
        assert f'href="../{name}"' in text
    # What only the single key has.
    for name in ("SHA256SUMS.minisig", "SHA256SUMS.sshsig", "minisign.pub", "allowed_signers"):
        assert name not in text


def test_the_text_for_several_signers_has_no_page_of_its_own(release: Release) -> None:
    """It replaces the text of the page, with the anchors to which other texts link."""
    assert not [path for path in release.files if "verify-policy" in path]
    for anchor in ("phone", "files"):
        assert all(f'id="{anchor}"' in page(release, slug) for slug in SLUGS)


def test_the_commands_of_the_page_verify_a_signed_release(release: Release, tmp_path: Path) -> None:
    """minisign and ssh-keygen accept the signatures, and reject another list."""
    sums = release.files[MANIFEST].body
    put_release(add_signature(release, signatures(sums, *KEYS)), tmp_path)
    checksum, files, *each = commands(release)
    done = shell(checksum, tmp_path)
    grouped = TWO_OF_THREE.fingerprint.replace(" ", "").lower()
    assert done.stdout.startswith(grouped)
    assert shell(files, tmp_path).returncode == 0
    for command, signer in zip(each, TWO_OF_THREE.signers, strict=True):
        done = shell(command, tmp_path)
        assert done.returncode == 0, done.stderr
        said = (
            "Signature and comment signature verified"
            if signer.is_minisign
            else f'Good "file" signature for {signer.name}'
        )
        assert said in done.stdout
    (tmp_path / MANIFEST).write_bytes(sums + b"\n")
    assert all(shell(command, tmp_path).returncode != 0 for command in each)


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader does."""
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, text=True, capture_output=True, check=False
    )


def test_a_threshold_of_one_is_called_what_it_is(tmp_path: Path) -> None:
    """The page says that one stolen key is enough."""
    release = built(tmp_path, threshold=1)
    assert "A release needs only one signature" in page(release, "en")
    assert "每一版只需要一个签名" in page(release, "zh-hans")
    assert "每一版只需要一個" in page(release, "zh-hant")
    assert "nothing in our name" not in page(release, "en")


def test_a_missing_text_for_several_signers_is_named(tmp_path: Path) -> None:
    """Only a site with several signers needs it."""
    tree = texts_with_signers(tmp_path, TWO_OF_THREE, 2)
    for locale in ("en", "zh_Hans"):
        (tree / locale / "pages/verify-policy.md").unlink()
    with pytest.raises(CccrError, match=r"pages/verify-policy\.md is missing"):
        build_release(tree, find_tree("templates"))
