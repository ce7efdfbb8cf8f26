"""The command as a person meets it: help, exit status, one sentence for each mistake."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from support.command import failure, run
from support.photographs import photo, put_photo
from support.serving import DOMAIN, ONION, environment
from support.signed import organisation_key, put_release, signed_release
from support.texts import copy_texts

from cccr_web import __version__
from cccr_web.cli import main
from cccr_web.release import load


def below(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of a group by their names."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def commands(group: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command below a group with the arguments that call it."""
    if isinstance(group, click.Group):
        for name, command in below(group).items():
            yield from commands(command, *names, name)
    else:
        yield names, group


COMMANDS = dict(commands(main))


def test_the_list_of_commands_is_complete() -> None:
    """These commands exist, and no others."""
    assert {" ".join(words) for words in COMMANDS} == {
        "demo",
        "new",
        "import",
        "check",
        "build",
        "key check",
        "key new",
        "key policy",
        "key change",
        "key sign",
        "key show",
        "sign",
        "verify",
        "canary",
        "mirror fetch",
        "mirror push",
        "mirror write",
        "mirrors",
        "security-txt",
        "watch",
        "doctor",
        "baseline",
        "notify send",
        "notify test",
        "serve",
        "headers",
        "history allow",
        "history record",
        "onion key derive",
        "onion key new",
        "onion key show",
        "onion promotion",
        "onion publish",
        "onion status",
        "onion torrc",
        "preview",
        "publish",
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_an_example(words: tuple[str, ...]) -> None:
    """Each command's help says what it does, explains each option and shows an example."""
    done = run(*words, "--help")
    assert done.exit_code == 0
    assert f"Usage: main {' '.join(words)}" in done.stdout
    command = COMMANDS[words]
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.name
    (shown,) = re.findall(r"Example:\n {2,4}cccr-web (.*)", done.stdout)
    assert shown.startswith(" ".join(words))
    with pytest.MonkeyPatch.context() as patch:
        # What the example says is understood by the command that it is an example of.
        patch.setattr(click.Path, "convert", lambda _self, value, _param, _ctx: value)
        arguments = shlex.split(re.sub(r"\$\(.*\)", ONION, shown))[len(words) :]
        command.make_context(words[-1], arguments)


@pytest.mark.parametrize(
    "words", [(), ("history",), ("key",), ("mirror",), ("notify",), ("onion",), ("onion", "key")]
)
def test_the_help_of_a_group_names_its_commands(words: tuple[str, ...]) -> None:
    """A group's help, also with -h, names its commands with a sentence each."""
    done = run(*words, "-h")
    assert done.exit_code == 0
    group: click.Group = main
    for word in words:
        inner = below(group)[word]
        assert isinstance(inner, click.Group)
        group = inner
    for name, command in below(group).items():
        (summary,) = re.findall(rf"^  {name} +(\S.*)", done.stdout, re.MULTILINE)
        assert not summary.endswith("..."), "click cuts a sentence that is too long for its line"
        assert command.help


def test_commands_are_listed_by_task() -> None:
    """Without arguments, the help lists each command once, in a task; the daily ones come first."""
    shown = run().output
    tasks = re.findall(r"^(\w[\w ]*):\n((?:  \S.*\n?)+)", shown, re.MULTILINE)
    assert [task for task, _ in tasks] == ["Options", "Write", "Publish", "Look after", "Serve"]
    listed = [line.split()[0] for _, lines in tasks[1:] for line in lines.splitlines()]
    assert listed[0] == "new"
    assert sorted(listed) == sorted(below(main))
    # All names are as wide as the widest, so that the sentences are in one column.
    lines = "".join(lines for _, lines in tasks[1:])
    starts = re.findall(r"^  [a-z-]+ +(?=[A-Z])", lines, re.MULTILINE)
    assert len(starts) == len(listed)
    assert len({*map(len, starts)}) == 1


def test_a_mistyped_command_gets_a_suggestion() -> None:
    """An unknown command is an error that names the most similar one."""
    done = run("srve")
    assert done.exit_code == 2
    assert "No such command 'srve'. Did you mean 'serve'?" in done.stderr


def test_version_is_printed() -> None:
    """``--version`` prints the version."""
    done = run("--version")
    assert (done.exit_code, done.stdout) == (0, f"cccr-web, version {__version__}\n")


WRONG_USE = {
    "no such command": (["release"], "No such command 'release'"),
    "no such option": (["build", "--fast"], "No such option"),
    "option missing": (["build"], "Missing option '--out'"),
    "address by http": (["build", "--out", "x", "--clearnet-url", "http://a.example"], "https"),
    "address with a path": (
        ["build", "--out", "x", "--clearnet-url", "https://a.example/"],
        "path",
    ),
    "no onion": (["build", "--out", "x", "--onion-address", "a.onion"], "is not an onion"),
    "no such folder": (["check", "--translations", "/none"], "does not exist"),
    "no path": (
        ["serve", "--clearnet", "8080"],
        "“8080” is not HOST:PORT",
    ),
    "port too high": (["serve", "--clearnet", "a:65536"], "“a:65536” is not HOST:PORT"),
    "onion on a port": (
        ["serve", "--onion-socket", "127.0.0.1:80"],
        "the onion listens on unix sockets only",
    ),
    "relative socket": (
        ["serve", "--onion-socket", "unix:a"],
        "a unix socket needs an absolute path",
    ),
    "no domain": (["serve", "--domain", "https://a.example"], "is not a domain name"),
    "proxy without a port": (
        ["watch", "https://a.example", "--public-key", "x", "--socks", "unix:/x"],
        "“unix:/x” is not HOST:PORT, such as 127.0.0.1:9050",
    ),
    "no proxy": (
        ["watch", "https://a.example", "--public-key", "x", "--socks", "tor"],
        "“tor” is not HOST:PORT, such as 127.0.0.1:9050",
    ),
    "no address": (["watch", "a.example", "--public-key", "x"], "“a.example” is not an address"),
    "no control port": (["onion", "status", ONION, "--control", "x"], "a tor control port"),
    "status of no onion": (["onion", "status", "a.onion"], "“a.onion” is not an onion address"),
    "wrong mode": (["doctor", "--private", "x=99"], "“x=99” is not PATH"),
    "doctor without a key": (["doctor", "--release", "x"], "set CCCR_RELEASE and CCCR_PUBLIC_KEY"),
    "no number": (["serve", "--recheck", "often"], "'often' is not a valid number of seconds"),
    "no date": (
        ["canary", "--key", "x", "--statement", "x", "--proof", "x", "--next", "2027-13-01"],
        "“2027-13-01” is not a date such as",
    ),
    "folder as a key": (["sign", "x", "--key", "/"], "File '/' is a directory"),
    "file as a folder": (["mirror", "write", __file__, "--release", "x"], "is a file"),
    "nowhere for the onion's key": (["demo"], "Pass --state DIR, which keeps the onion's key."),
    "port no number": (["demo", "--port", "http"], "is not a valid integer"),
    "port out of range": (["demo", "--port", "65536"], "is not in the range"),
    "key missing": (["onion", "publish", "--socket", "/x"], "Missing option '--key'"),
    "file missing": (["onion", "key", "new"], "Missing argument 'FILE'"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_usage_exits_2_and_points_to_the_help(arguments: list[str], words: str) -> None:
    """Stderr says what is wrong and how to get help."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert words in re.sub(r"\s+", " ", done.stderr)
    assert "Usage: " in done.stderr


def test_check_counts_the_texts() -> None:
    """The real texts have no problem, and ``check`` prints how many there are."""
    done = run("check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "All texts are in order: 14 in en, 14 in zh-Hans.\n"


def test_check_finds_damaged_photos(tmp_path: Path) -> None:
    """A photo that the build could not decode is a problem, at the line of its record."""
    tree = copy_texts(tmp_path)
    put_photo(tree, "good.jpg", photo())
    put_photo(tree, "cut.jpg", photo()[:-2000])
    records = (tree / "photos.toml").read_text(encoding="utf-8").splitlines()
    line = records.index('["cut.jpg"]') + 1
    assert failure("check", "--translations", tree) == (
        f"translations/photos.toml:{line}: translations/photos/cut.jpg is damaged, incomplete or "
        "not a photo. Replace it with an intact copy.\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("site.toml", "names.toml", "photos.toml", "en/pages/verify.md"),
        *("zh_Hans/LC_MESSAGES/messages.po", "photos/cut.jpg", "en/pages/note.txt"),
    ],
)
def test_a_file_that_the_disk_does_not_give_is_a_problem(tmp_path: Path, name: str) -> None:
    """A bad sector in any file is reported with the file, by ``check`` and ``build``."""
    tree = copy_texts(tmp_path)
    put_photo(tree, "cut.jpg", photo())
    (tree / name).unlink(missing_ok=True)
    # To read there is an error, because nothing is mapped at address 0 (proc_pid_mem(5)).
    (tree / name).symlink_to("/proc/self/mem")
    out = ["--out", str(tmp_path / "release")]
    for command in (["check"], ["build", *out]):
        error = failure(*command, "--translations", tree)
        assert re.search(rf"{Path(name).name}\b.* cannot be read: Input/output error\.", error)


def test_check_names_file_and_line(tmp_path: Path) -> None:
    """Each problem is one line that begins with the file and the line number."""
    tree = copy_texts(tmp_path)
    page = tree / "en/pages/verify.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(f"{text}\n<b>\n", encoding="utf-8")
    line = text.count("\n") + 2
    (tree / "zh_Hans/pages/verify.md").unlink()
    assert [line.split(": ")[0] for line in failure("check", "--translations", tree).split("\n")][
        :2
    ] == ["translations/en/pages/verify.md:1", f"translations/en/pages/verify.md:{line}"]


def test_check_prints_its_messages_as_lists_for_programs(tmp_path: Path) -> None:
    """Each message has its file, line and sentence; a suggestion does not change the status."""
    tree = copy_texts(tmp_path)
    for locale, words in (("en", "He said so."), ("zh_Hans", "张三丰说过。")):
        append(tree / locale / "pages/verify.md", f"\n{words}\n")

    def check(status: int) -> dict[str, list[dict[str, Any]]]:
        done = run("check", "--json", "--translations", tree)
        assert (done.exit_code, done.stderr) == (status, "")
        found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
        return found

    found = check(0)
    (suggestion,) = found["suggestions"]
    assert found["problems"] == []
    assert suggestion["message"].startswith("If “张三丰” is a name: ")
    append(tree / "en/pages/verify.md", "<b>\n")
    lines = (tree / "en/pages/verify.md").read_text(encoding="utf-8").count("\n")
    assert check(1) == {
        "problems": [
            {
                "file": "translations/en/pages/verify.md",
                "line": lines,
                "message": "Raw HTML is not allowed: use Markdown.",
            }
        ],
        "suggestions": [suggestion],
    }


def spoil_facts(tree: Path) -> None:
    """Write a fact that does not exist, and names and records that are not TOML."""
    append(tree / "site.toml", "other = 1\n")
    append(tree / "names.toml", "[\n")
    append(tree / "photos.toml", "[\n")


def spoil_records(tree: Path) -> None:
    """Write a record of no photo, and put photos without one there."""
    append(tree / "names.toml", '"A" = "A"\n')
    append(tree / "photos.toml", '["none.jpg"]\n')
    put_photo(tree, "cut.jpg", photo())
    (tree / "photos/A.jpg").write_bytes(photo())


def spoil_texts(tree: Path) -> None:
    """Break a text, a catalogue and a notice, and put files there that nothing reads."""
    (tree / "en/pages/verify.md").write_text("+++\n", encoding="utf-8")
    append(tree / "zh_Hans/LC_MESSAGES/messages.po", 'msgid "x"\n')
    (tree / "files").mkdir(exist_ok=True)
    (tree / "files/other.txt").touch()
    (tree / "en/pages/note.txt").touch()
    (tree / "note.txt").touch()


def spoil_words(tree: Path) -> None:
    """Write what only a tree without other problems is searched for."""
    append(tree / "en/pages/verify.md", "![](/photos/none.jpg) [x](none.md) www.cfcr2008.org\n")
    append(tree / "zh_Hans/pages/verify.md", "個人 王强说\n")
    put_photo(tree, "cut.jpg", photo()[:-2000])


def spoil_copy(tree: Path) -> None:
    """Remove the text from which the start page of the ZIP is made."""
    for file in tree.glob("*/pages/copy.md"):
        file.unlink()
    for file in tree.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        file.write_text(
            re.sub(r"\]\((\.\./pages/)?copy\.md", "](verify.md", text), encoding="utf-8"
        )


def append(file: Path, text: str) -> None:
    """Write more lines at the end of a file."""
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "spoil"),
    [
        *itertools.product(
            ["check", "build"],
            [spoil_facts, spoil_records, spoil_texts, spoil_words, shutil.rmtree],
        ),
        ("build", spoil_copy),
    ],
)
def test_messages_name_every_file_from_the_folder_of_texts(
    tmp_path: Path, command: str, spoil: Callable[[Path], None]
) -> None:
    """Each line begins with the name of the folder that was given, and no path is absolute."""
    tree = copy_texts(tmp_path).rename(tmp_path / "drafts")
    spoil(tree)
    tree.mkdir(exist_ok=True)
    out = ["--out", str(tmp_path / "release")] if command == "build" else []
    done = run(command, *out, "--translations", tree)
    lines = done.stderr.splitlines()
    assert done.exit_code == 1
    assert [line for line in lines if not re.match(r"(Suggestion: )?drafts/\S", line)] == []
    assert "translations/" not in done.stderr
    assert str(tmp_path) not in done.stderr


def test_build_writes_a_release_with_the_given_addresses(tmp_path: Path) -> None:
    """``build`` prints what it has written."""
    out = tmp_path / "release"
    done = run(
        "build", "--out", out, "--clearnet-url", f"https://{DOMAIN}", "--onion-address", ONION
    )
    assert (done.exit_code, done.stderr) == (0, "")
    release = load(out)
    assert done.stdout == f"Release 1 of 2026-11-29: {len(release.files)} files in {out}\n"
    assert release.metadata.clearnet == f"https://{DOMAIN}"
    assert release.metadata.onions == (ONION,)


def test_texts_with_a_problem_are_not_built(tmp_path: Path) -> None:
    """Texts with a problem are not built."""
    tree = copy_texts(tmp_path)
    (tree / "site.toml").unlink()
    error = failure("build", "--translations", tree, "--out", tmp_path / "release")
    assert error == "translations/site.toml:1: The file is missing.\n"
    assert not (tmp_path / "release").exists()


def test_build_does_not_replace_a_folder_that_is_not_a_release(tmp_path: Path) -> None:
    """A folder with other files is not replaced."""
    (tmp_path / "mine").touch()
    assert failure("build", "--out", tmp_path) == (
        f"{tmp_path} holds something other than a release. Choose another or an empty folder.\n"
    )


def test_build_names_a_path_that_cannot_be_written() -> None:
    """One error says where and why."""
    error = failure("build", "--out", "/dev/null/release")
    assert re.fullmatch(
        r"/dev/null/release cannot be written: [A-Z][a-z ]+\. "
        r"Check the disk and the permissions\.\n",
        error,
    )


@pytest.mark.parametrize("arguments", [["--max-megabytes", "1"], []])
def test_build_rejects_a_release_that_no_server_would_serve(
    tmp_path: Path, arguments: list[str]
) -> None:
    """A release larger than the limit is not written; the option overrides the environment."""
    default = "9999" if arguments else "1"
    error = failure("build", "--out", tmp_path / "release", *arguments, CCCR_MAX_MEGABYTES=default)
    assert re.fullmatch(
        r"The release has \d MB, more than --max-megabytes allows: 1\. Raise it for “build”, or "
        r"CCCR_MAX_MEGABYTES, and MAX_MEGABYTES in site\.env if the server has three times as "
        r"much memory\.\n",
        error,
    )
    assert not (tmp_path / "release").exists()


def test_build_rejects_a_wrong_source_date_epoch(tmp_path: Path) -> None:
    """SOURCE_DATE_EPOCH must be a number."""
    error = failure("build", "--out", tmp_path / "release", SOURCE_DATE_EPOCH="today")
    assert error == "SOURCE_DATE_EPOCH is “today”. It must be seconds since 1970, or unset.\n"


def test_an_onion_key_is_made_and_shown(tmp_path: Path) -> None:
    """The address of a new key is printed, can be shown again, and is never overwritten."""
    made = run("onion", "key", "new", tmp_path / "onion.key")
    shown = run("onion", "key", "show", tmp_path / "onion.key")
    assert re.fullmatch(r"[a-z2-7]{56}\.onion\n", made.stdout)
    assert shown.stdout == made.stdout
    error = failure("onion", "key", "new", tmp_path / "onion.key")
    assert str(tmp_path / "onion.key") in error
    assert len(error.splitlines()) == 1


def output_of(script: str) -> str:
    """Return what a script prints in a separate Python."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def test_the_command_line_imports_modules_only_when_needed() -> None:
    """Modules that only some commands need are not imported at first."""
    heavy = ["babel", "cryptography", "flask", "flask_babel", "flask_talisman", "jinja2"]
    heavy += ["markdown_it", "stem", "waitress", "werkzeug"]
    script = f"import cccr_web.cli, sys; print([n for n in {heavy} if n in sys.modules])"
    assert output_of(script) == "[]\n"


def test_a_server_loads_only_what_it_needs(tmp_path: Path) -> None:
    """A server of a signed release loads no module that renders, verifies, or controls tor."""
    put_release(signed_release(1), tmp_path / "release")
    words = ["--release", str(tmp_path / "release"), "--clearnet", "127.0.0.1:0"]
    words += ["--public-key", str(organisation_key().public), "--state", str(tmp_path / "state")]
    script = (
        "import sys, os, signal; from cccr_web.cli import main\n"
        "import cccr_web.serve.server as s\n"
        "s.Poller.turn = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"main({['serve', *words]!r}, standalone_mode=False)\n"
        "print([n for n in ('babel', 'flask_babel', 'markdown_it', 'stem', 'cccr_web.content', "
        "'cccr_web.render', 'cccr_web.onion', 'cryptography', 'minisign', 'cccr_web.cli.release') "
        "if n in sys.modules])"
    )
    assert output_of(script).splitlines()[-1] == "[]"
