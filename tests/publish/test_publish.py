"""``cccr-web publish``: every step, its failure, and the run that continues there.

``deploy.sh`` is the real one; its server only writes down what it gets. ``tests/deploy`` publishes
to a booted one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import TOP
from support.command import run
from support.deploy.scripts import AdminSide
from support.documents import DOCUMENTS
from support.policies import EDITOR
from support.signed import known_key_file, organisation_key
from support.texts import texts_with_key

from cccr_web import config, files
from cccr_web.cli.release import verified
from cccr_web.publish import locked
from cccr_web.release import (
    RECORD,
    load,
    make_release,
    read_request,
    record_after,
    with_archive,
    write,
)

ADDED = "A paragraph that nobody has read yet."
# What translations/README.md shows of a whole run.
SHOWN = DOCUMENTS[1].text.partition("a line for each step:\n\n```\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the builds of this module share."""
    return tmp_path_factory.mktemp("cache")


class Editor:
    """An editor's checkout, with a server that writes down what it gets."""

    def __init__(self, folder: Path, cache: Path, key_file: Path) -> None:
        self.side = AdminSide(folder)
        (folder / "deploy/site.env").unlink()
        (folder / "templates").symlink_to(TOP / "templates")
        self.folder = folder
        self.tree = texts_with_key(folder, organisation_key().public)
        self.releases = folder / "releases"
        self.cache = cache
        passphrase = key_file.with_name("passphrase")
        self.key: tuple[object, ...] = ("--key", key_file, "--passphrase-file", passphrase)
        self.state = {"XDG_STATE_HOME": str(cache.parent / "state")}

    def publish(self, *options: object, typed: str = "y\n", status: int = 0) -> tuple[str, str]:
        """Run the command; return what is on stdout and on stderr."""
        given = ("--translations", self.tree, "--cache", self.cache / "cache", *options)
        done = run("publish", *given, typed=typed, **self.state)
        assert done.exit_code == status, done.output
        assert "Traceback" not in done.output
        return done.stdout, done.stderr

    def write(self, text: str = ADDED) -> None:
        """Add a paragraph to a page in each language."""
        for locale in ("en", "zh_Hans"):
            file = self.tree / locale / "pages/who-we-are.md"
            own = text if locale == "en" else "还没有人读过的一段。"
            file.write_text(file.read_text(encoding="utf-8") + f"\n{own}\n", encoding="utf-8")

    def edit_site(self, old: str, new: str) -> None:
        """Change a line of ``site.toml``."""
        file = self.tree / "site.toml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    @property
    def sequence(self) -> int:
        """The number in ``site.toml``."""
        found = re.search(r"(?m)^sequence = (\d+)$", (self.tree / "site.toml").read_text())
        assert found is not None
        return int(found[1])

    @property
    def numbers(self) -> list[str]:
        """The names in the folder of releases."""
        return sorted(one.name for one in self.releases.iterdir())

    def disk(self) -> dict[Path, bytes]:
        """Return every file of the checkout."""
        found = (one for one in self.folder.rglob("*") if one.is_file())
        return {one: one.read_bytes() for one in found}


@pytest.fixture
def editor(tmp_path: Path, cache: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """An editor whose texts were never published."""
    made = Editor(tmp_path, cache, key_file)
    monkeypatch.setattr(config, "PACKAGE", tmp_path / "cccr_web")
    monkeypatch.chdir(tmp_path)
    for name, value in made.side.environment().items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, cache: Path, key_file: Path) -> Path:
    """The first release of an editor."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("first")
        made = Editor(folder, cache, key_file)
        patch.setattr(config, "PACKAGE", folder / "cccr_web")
        patch.chdir(folder)
        made.publish(*made.key)
    return made.releases / "1"


@pytest.fixture
def published(editor: Editor, first: Path) -> Editor:
    """An editor who has published release 1."""
    shutil.copytree(first, editor.releases / "1")
    return editor


def steps(stdout: str) -> list[str]:
    """Return the first word of each line that begins a step."""
    return [line.split()[0] for line in stdout.splitlines() if re.match(r"[a-z]", line)]


def test_without_servers_it_ends_with_a_signed_release(editor: Editor) -> None:
    """Each step prints a line; the last says what to run with servers."""
    stdout, stderr = editor.publish(*editor.key)
    assert steps(stdout) == steps(SHOWN)[:-2]
    assert "changes    everything is new\n" in stdout
    assert stdout.endswith("Next, with servers: deploy/deploy.sh release releases/1\n")
    assert "Sign and publish release 1? [y/N]: " in stderr
    verified(editor.releases / "1", organisation_key().public, deployable=True)
    assert (editor.sequence, editor.numbers) == (1, ["1"])


def test_a_changed_text_becomes_the_next_release(published: Editor) -> None:
    """What has changed is shown before the question, and only the sequence changes in the texts."""
    published.write()
    before = published.disk()
    stdout, _ = published.publish(*published.key)
    assert "sequence   2, after release 1\n" in stdout
    changes = f"  en/who-we-are.html: Changed.\n    + text: {ADDED}\n"
    assert changes in stdout
    assert changes in SHOWN
    assert stdout.index(ADDED) < stdout.index("sign  ")
    assert (published.sequence, published.numbers) == (2, ["1", "2"])
    after = published.disk()
    assert {file for file in before if before[file] != after[file]} == {
        published.tree / "site.toml"
    }


def test_the_same_texts_make_no_further_release(published: Editor) -> None:
    """A second run asks nothing, needs no key and leaves all as it is."""
    before = published.disk()
    stdout, _ = published.publish(typed="")
    assert steps(stdout) == ["check", "sequence", "sign", "verify"]
    assert "sequence   1: releases/1 is made of these texts\n" in stdout
    assert published.disk() == before


def test_a_sequence_that_was_raised_in_the_texts_is_used(published: Editor) -> None:
    """Whoever raises it wants a release, even of the same texts; none is left out."""
    published.edit_site("sequence = 1\n", "sequence = 2\n")
    stdout, _ = published.publish(*published.key)
    assert "since release 1:\n" in stdout, stdout
    assert f"+ link: ../{RECORD}\n" in stdout
    assert (published.sequence, published.numbers) == (2, ["1", "2"])


def test_the_release_before_can_be_elsewhere(editor: Editor, first: Path) -> None:
    """Its number is raised, and it is what the changes are compared with."""
    editor.write()
    stdout, _ = editor.publish(*editor.key, "--previous", first)
    assert "sequence   2, after release 1\n" in stdout
    assert (editor.sequence, editor.numbers) == (2, ["2"])


@pytest.mark.parametrize("changed", [True, False])
def test_a_dry_run_goes_up_to_the_question_and_changes_nothing(
    published: Editor, changed: bool
) -> None:
    """It needs no key, shows the same lines, and leaves the disk as it was."""
    if changed:
        published.write()
    settings = site_env(published)
    before = published.disk()
    stdout, stderr = published.publish("--dry-run", "--to", settings, typed="")
    assert (ADDED in stdout) == changed
    assert stdout.endswith("Nothing was changed.\n")
    assert "[y/N]" not in stderr
    assert published.disk() == before


def site_env(editor: Editor) -> Path:
    """Write the settings of a server."""
    editor.side.settings("SERVER=root@server.example\nPUBLIC_KEY=../organisation.pub\n")
    return editor.folder / "deploy/site.env"


def test_each_release_records_the_ones_before(published: Editor) -> None:
    """The texts get the same record, so that other signers build the same release."""
    kept, release = published.tree / "files" / RECORD, load(published.releases / "1")
    for number in (2, 3):
        published.write(f"Paragraph {number}.")
        published.publish(*published.key)
        before, release = (load(published.releases / str(one)) for one in (number - 1, number))
        assert release.files[RECORD].body == record_after(before)
        assert kept.read_bytes() == release.files[RECORD].body
    kept.unlink()
    stdout, _ = published.publish()
    assert "3: releases/3 is made of these texts" in stdout
    assert kept.read_bytes() == release.files[RECORD].body


def test_a_record_of_other_releases_stops_the_publication(published: Editor) -> None:
    """Either the newest release is missing here, or the texts are wrong."""
    kept = published.tree / "files" / RECORD
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(f"1 2026-11-22T00:00:00Z {'0' * 64}\n")
    published.edit_site("sequence = 1\n", "sequence = 2\n")
    before = published.disk()
    _, stderr = published.publish(*published.key, status=1)
    assert f"{RECORD} holds lines that release 1 lacks." in stderr
    assert published.disk() == before


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_changed(published: Editor, typed: str) -> None:
    """No, Enter and the end of the input are the same."""
    published.write()
    before = published.disk()
    _, stderr = published.publish(*published.key, typed=typed, status=1)
    assert "Nothing was changed." in stderr
    assert published.disk() == before


def test_a_wrong_passphrase_costs_no_build(published: Editor) -> None:
    """It is checked before anything is rendered, and asked for once."""
    published.write()
    before = published.disk()
    stdout, stderr = published.publish(*published.key[:2], typed="a wrong one\ny\n", status=1)
    assert steps(stdout) == ["check"]
    assert stderr.count("Passphrase of ") == 1
    assert "That is not the passphrase of" in stderr
    assert published.disk() == before


def test_the_passphrase_is_asked_for_once(published: Editor, key_file: Path) -> None:
    """Then the question about the release follows."""
    published.write()
    passphrase = key_file.with_name("passphrase").read_text()
    _, stderr = published.publish("--key", key_file, typed=f"{passphrase}y\n")
    assert stderr.count("Passphrase of ") == 1
    assert published.numbers == ["1", "2"]


def test_a_key_that_the_texts_do_not_name_costs_no_build(published: Editor) -> None:
    """Its fingerprint is shown."""
    published.write()
    (published.folder / "other.key").write_bytes(known_key_file(b"editor"))
    stdout, stderr = published.publish("--key", "other.key", status=1)
    assert steps(stdout) == ["check"]
    assert f"site.toml does not name this key, {EDITOR.public.fingerprint}." in stderr


def test_without_a_key_the_message_says_so_before_the_build(published: Editor) -> None:
    """Wrong usage exits with 2."""
    published.write()
    stdout, stderr = published.publish(status=2)
    assert steps(stdout) == ["check"]
    assert "Pass --key or --ssh-key to sign the release." in stderr


def test_texts_with_problems_are_not_built(published: Editor) -> None:
    """The problems are those of ``check``."""
    published.write("{{a placeholder}}")
    before = published.disk()
    stdout, stderr = published.publish(*published.key, status=1)
    assert stdout == ""
    assert "is a placeholder" in stderr
    assert published.disk() == before


def fail(*_: object) -> None:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["rename", "replace", "replace_folder"])
def test_a_disk_that_is_full_leaves_everything_as_it_was(
    published: Editor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sequence is raised only together with the release; the next run gets the same number."""
    published.write()
    with monkeypatch.context() as full:
        full.setattr(files, name, fail)
        _, stderr = published.publish(*published.key, status=1)
    assert "No space left on device" in stderr
    assert published.sequence == 1
    assert {*published.numbers} - {".next"} == {"1"}
    published.publish(*published.key)
    assert (published.sequence, published.numbers) == (2, ["1", "2"])


def test_a_run_that_was_killed_before_its_last_step_is_completed(
    published: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release that was signed gets its name, without a question; no number is left out."""
    published.write()
    with monkeypatch.context() as killed:
        killed.setattr(files, "rename", lambda _old, _new: None)
        published.publish(*published.key, status=1)
    assert (published.sequence, published.numbers) == (2, [".next", "1"])
    stdout, _ = published.publish(typed="")
    assert "sequence   2: releases/2 is made of these texts\n" in stdout
    assert (published.sequence, published.numbers) == (2, ["1", "2"])


def test_a_failed_deployment_is_continued(published: Editor) -> None:
    """The release stays; the same command deploys it, without a question or another release."""
    published.write()
    site_env(published)
    (published.folder / "status").write_text("1")
    stdout, stderr = published.publish(*published.key, status=1)
    assert steps(stdout)[-1] == "verify"
    assert "releases/2 was not deployed." in stderr
    assert (published.sequence, published.numbers) == (2, ["1", "2"])
    (published.folder / "status").write_text("0")
    stdout, _ = published.publish(typed="")
    assert steps(stdout)[-2:] == steps(SHOWN)[-2:]
    assert "deploy     every server serves it\n" in stdout
    assert published.side.commands() == ["release", "release"]
    sums = (published.releases / "2/SHA256SUMS").read_text()
    assert published.side.received("release/SHA256SUMS") == sums
    assert published.numbers == ["1", "2"]


def test_settings_that_are_not_there_are_reported_first(published: Editor) -> None:
    """Before anything is checked or built."""
    stdout, stderr = published.publish("--to", "missing.env", status=1)
    assert stdout == ""
    assert "There are no settings in missing.env." in stderr


def test_every_address_is_asked(editor: Editor) -> None:
    """One that should serve the release and does not is a failure; an onion needs --socks."""
    onion = "a" * 56 + ".onion"
    editor.edit_site('clearnet = ""', 'clearnet = "https://cccr.example"')
    editor.edit_site("onions = []", f'onions = ["{onion}"]')
    site_env(editor)
    stdout, stderr = editor.publish(*editor.key, status=1)
    assert "addresses  0 of 2 serve release 1\n" in stdout
    assert f"  http://{onion}: not asked, because it needs --socks.\n" in stdout
    assert "  https://cccr.example does not serve it yet: " in stdout
    assert "https://cccr.example should serve release 1." in stderr


def test_only_one_run_publishes(published: Editor) -> None:
    """The second stops at once."""
    with locked(published.tree):
        _, stderr = published.publish(*published.key, status=1)
    assert stderr == "Another “cccr-web publish” is running. Wait until it ends.\n"


def test_a_release_that_was_only_built_is_not_published(published: Editor) -> None:
    """Nobody has confirmed it."""
    built = load(published.releases / "1")
    shutil.rmtree(published.releases / "1")
    unsigned = with_archive(
        make_release(
            {
                path: file.body
                for path, file in built.listed.items()
                if path not in {"RELEASE.json", "cccr-web.zip"}
            },
            built.metadata,
        )
    )
    write(unsigned, published.releases / "1")
    _, stderr = published.publish(*published.key, status=1)
    assert "releases/1 is not signed. Sign it with “cccr-web sign releases/1”" in stderr


def test_a_damaged_or_moved_release_is_named(published: Editor) -> None:
    """Nothing is compared with it, and it is not replaced."""
    shutil.copytree(published.releases / "1", published.releases / "5")
    _, stderr = published.publish(*published.key, status=1)
    assert stderr.endswith(
        "releases/5 holds release 1. Give the folder its number, or move it away.\n"
    )
    (published.releases / "5/en/index.html").write_text("changed")
    before = published.disk()
    _, stderr = published.publish(*published.key, status=1)
    assert "en/index.html is not the file that SHA256SUMS lists." in stderr
    assert published.disk() == before


# Several signers


@pytest.fixture
def two(editor: Editor) -> Editor:
    """An editor whose releases a second signer signs, too, with an SSH key."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "second"]
    subprocess.run(command, cwd=editor.folder, check=True)
    public = (editor.folder / "second.pub").read_text().strip()
    (editor.folder / "editor.key").write_bytes(known_key_file(b"editor"))
    editor.edit_site(
        f'public_key = "{organisation_key().public}"',
        f'public_keys = [\n  {{ name = "editor", minisign = "{EDITOR.public}" }},\n'
        f'  {{ name = "second", ssh = "{public}" }},\n]\nthreshold = 2',
    )
    editor.key = ("--key", editor.folder / "editor.key")
    return editor


@pytest.fixture
def second(two: Editor, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The second signer, with a copy of the texts, who signs a copy of the request."""

    def sign(*options: object, request: Path | None = None) -> Any:
        folder = tmp_path_factory.mktemp("second")
        copy = folder / "1.request.zip"
        shutil.copy(request or two.releases / "1.request.zip", copy)
        texts = folder / "translations"
        shutil.copytree(two.tree, texts)
        given = options or ("--translations", texts)
        done = run("sign", copy, "--ssh-key", two.folder / "second", *given)
        return done, copy

    return sign


def test_it_stops_after_the_first_signature_and_continues_with_the_second(
    two: Editor, second: Any
) -> None:
    """The request goes to the second signer, who compares every file, and comes back."""
    site_env(two)
    stdout, _ = two.publish(*two.key)
    assert steps(stdout) == ["check", "sequence", "build", "changes", "sign"]
    assert "sign       releases/1 has 1 of 2 signatures; second can sign\n" in stdout
    assert "Next: send releases/1.request.zip to them." in stdout
    request = two.releases / "1.request.zip"
    assert request.stat().st_size < 20_000
    stdout, _ = two.publish(typed="")  # too early
    assert "has 1 of 2 signatures" in stdout
    assert two.side.commands() == []

    done, signed = second()
    assert done.exit_code == 0, done.output
    assert "has the 2 signatures that it needs (editor, second)" in done.stdout
    shutil.copy(signed, request)
    stdout, _ = two.publish(typed="")
    assert steps(stdout) == ["check", "sequence", "sign", "verify", "deploy", "addresses"]
    assert two.side.commands() == ["release"]
    assert two.numbers == ["1"]
    release = load(two.releases / "1")
    assert {*release.signatures} == {"SHA256SUMS.editor.minisig", "SHA256SUMS.second.sshsig"}


def test_both_can_sign_on_one_machine(two: Editor) -> None:
    """The same command with the other key adds the second signature."""
    two.publish(*two.key)
    stdout, _ = two.publish("--ssh-key", two.folder / "second", typed="")
    assert steps(stdout) == ["check", "sequence", "sign", "verify"]
    assert two.numbers == ["1"]


def test_the_second_signer_does_not_sign_other_texts(two: Editor, second: Any) -> None:
    """The files that differ from an own build are named, and nothing is signed."""
    two.publish(*two.key)
    two.write()
    done, copy = second()
    assert done.exit_code == 1
    assert "Your own build differs from the request in " in done.stderr
    assert "en/who-we-are.html" in done.stderr
    assert copy.read_bytes() == (two.releases / "1.request.zip").read_bytes()
    two.edit_site("sequence = 1\n", "sequence = 7\n")
    done, _ = second()
    assert done.exit_code == 1
    assert "Your site.toml has the sequence 7, and the request is for release 1." in done.stderr
    done, copy = second("--without-build")
    assert done.exit_code == 0
    assert "Not compared with a build of your own" in done.stderr
    assert len(read_request(copy)[0].signatures) == 2


def test_a_text_that_changes_while_signatures_are_missing_is_another_release(
    two: Editor, second: Any
) -> None:
    """The number is not used twice, and the old request is of no use any more."""
    two.publish(*two.key)
    _, signed = second()
    two.write()
    stdout, _ = two.publish(*two.key)
    assert "sequence   2, after release 1, which lacks signatures\n" in stdout
    assert two.numbers == ["1", "2", "2.request.zip"]
    shutil.copy(signed, two.releases / "2.request.zip")
    _, stderr = two.publish(typed="", status=1)
    assert "2.request.zip is for another release 1." in stderr


def test_a_request_with_anything_else_is_rejected(two: Editor) -> None:
    """A release's own ZIP is no request, and neither is one in which a byte was changed."""
    two.publish(*two.key)
    request = two.releases / "1.request.zip"
    whole = request.read_bytes()
    for wrong, said in (
        ((two.releases / "1/cccr-web.zip").read_bytes(), "it holds "),
        (whole[:-1], "is not a ZIP as cccr-web packs it"),
        (whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], ""),
    ):
        request.write_bytes(wrong)
        _, stderr = two.publish(typed="", status=1)
        assert said in stderr
        assert request.read_bytes() == wrong
    request.unlink()
    two.publish(typed="")
    assert request.read_bytes() == whole


def test_requests_of_one_key_do_not_exist(published: Editor) -> None:
    """A ZIP that one key has signed is not a request."""
    done = run("sign", published.releases / "1/cccr-web.zip", *published.key)
    assert done.exit_code == 1
    assert "is not a signing request: one key signs its release." in done.stderr
    done = run("sign", published.releases / "1", *published.key, "--without-build")
    assert (done.exit_code, "Only a signing request is compared" in done.stderr) == (2, True)
