"""The scripts that run on an admin's machine, which may be a Mac: bash 3.2 and BSD's programs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import TOP
from support.deploy.scripts import bsd_programs

SCRIPTS = ["deploy.sh", "venv.sh", "cccr-web", "try.sh", "lock/update.sh"]
# What deploy.sh reads of the server's part.
SHARED = ["server/common.sh", "server/settings.sh", "server/wheels.sh"]
# What bash 3.2 lacks (the NEWS of bash 4.0 to 5.2), or does otherwise.
NEWER_BASH = {
    "mapfile": r"\b(mapfile|readarray|coproc)\b",
    "kinds of variables": r"\b(declare|local|typeset)\s+-[a-z]*[Agn]",
    "case of letters, transformations": r"\$\{[^}]*(\^\^?|,,?|@[A-Za-z])\}",
    "new operators": r"\|&|&>>|;;&|;&(?!&)|\[\[ -v |\{[a-z]\w*\}[<>]",
    "new options": r"\bwait -n|\bread -t 0?\.|%\(|\bshopt -s (lastpipe|globstar|inherit_errexit)",
    "new variables": r"\$\{?(BASHPID|EPOCHSECONDS|EPOCHREALTIME|SRANDOM)\b",
    "negative indexes": r"\[-[0-9]+\]|\$\{\w+:[0-9]+:-",
    "escapes": r"\$'[^']*\\[uU]",
    "a name next to a letter outside ASCII": r"\$\w+[^\x00-\x7f]",
}
GNU_PROGRAMS = {
    "not on macOS": r"(?<!command -v )\b(flock|sha256sum|realpath|timeout|nproc|setsid)\b(?![()])",
    "options": r"\b(readlink -f|sed -i|mv -T|date -[dI]|stat -c|xargs -r|grep -P)\b",
    "long options": r"\b(cat|cp|cut|df|du|find|grep|head|ln|mkdir|mktemp|mv|rm|sed|sort|tail|touch"
    r"|xargs)(?: -[\w-]+)* --[a-z]",
}


def code(name: str) -> str:
    """Return a script without its comments."""
    return re.sub(r"(?m)(^|\s)#\s.*$", "", (TOP / "deploy" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*SCRIPTS, *SHARED])
def test_a_script_uses_nothing_that_macos_lacks(name: str) -> None:
    """It parses as bash 3.2, which has no newer constructs, and uses no program of GNU's own."""
    # The functions of common.sh that change a server are never called on another machine.
    patterns = NEWER_BASH if name.endswith("common.sh") else NEWER_BASH | GNU_PROGRAMS
    text = code(name)
    found = {why: match[0] for why, each in patterns.items() if (match := re.search(each, text))}
    assert found == {}


@pytest.mark.parametrize("name", [*SCRIPTS, *SHARED[1:]])
def test_no_array_is_expanded_that_may_be_empty(name: str) -> None:
    """In bash 3.2 with ``set -u``, an empty array is an unset variable.

    So its length is asked first, or it is expanded as ``${x[@]+"${x[@]}"}``. Arrays with names in
    capitals are constants, or never empty.
    """
    text = re.sub(r'\$\{(\w+)\[@\]\+"\$\{\1\[@\]\}"\}', "", code(name))
    for array in set(re.findall(r"\$\{([a-z_]\w*)\[@\]\}", text)):
        assert f"${{#{array}[@]}}" in text, array


def test_try_runs_with_macos_programs(tmp_path: Path) -> None:
    """``try.sh`` passes its options on, or none, with BSD's programs."""
    shutil.copytree(TOP / "deploy", tmp_path / "deploy")
    (tmp_path / "deploy/cccr-web").write_text('#!/bin/sh\necho "$@"\n')
    programs = bsd_programs(tmp_path / "bsd")
    (programs / "tor").symlink_to("/bin/true")
    default = f"{tmp_path}/.local/state/cccr-web"
    for options, state in (([], default), (["--no-onion", "--state=other"], "other")):
        done = subprocess.run(
            [tmp_path / "deploy/try.sh", *options],
            cwd=tmp_path,
            env={"PATH": str(programs), "HOME": str(tmp_path)},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["demo", *options, "--state", state]
