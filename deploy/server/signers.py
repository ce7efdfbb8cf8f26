"""Print who signed each stored release, and what each signer signed last.

signers.py RELEASES CURRENT [--json]

Signatures hold no time, so the day is that of the release, and for SHA256SUMS.latest the one that
it states. All were verified when they were stored. The signers are those of the release CURRENT.
"""

import json
import pathlib
import re
import sys

ONLY = "organisation"  # the signer, if one key signs


def text_of(file: pathlib.Path) -> str:
    """Return a file’s text, or nothing if there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def keys_of(release: pathlib.Path) -> dict[str, str]:
    """Return the key of each signer, by name."""
    lines = re.findall(r"(?m)^([a-z0-9-]+) (?:minisign|ssh) (.+)$", text_of(release / "policy.txt"))
    return dict(lines) or {ONLY: text_of(release / "minisign.pub").partition("\n")[2].strip()}


def signers_of(release: pathlib.Path) -> list[str]:
    """Return who signed a release."""
    names = {file.name for file in release.glob("SHA256SUMS.*sig")}
    found = (
        re.fullmatch(r"SHA256SUMS\.(?:([a-z0-9-]+)\.)?(?:minisig|sshsig)", name) for name in names
    )
    return sorted({match[1] or ONLY for match in found if match})


def day_of(release: pathlib.Path) -> str:
    """Return the day of a release."""
    match = re.search(r'"time": "(\d{4}-\d\d-\d\d)', text_of(release / "RELEASE.json"))
    return match[1] if match else "?"


def describe(last: dict[str, object]) -> str:
    """Return what a signer signed last."""
    signed = [f"release {last['release']} of {last['day']}"] if last["release"] else []
    signed += [f"SHA256SUMS.latest of {last['latest']}"] if last["latest"] else []
    return f"last signed {', and '.join(signed)}" if signed else "signed no stored release"


folder, current, *options = sys.argv[1:]
stored = sorted(
    (path for path in pathlib.Path(folder).glob("[0-9]*")), key=lambda path: int(path.name)
)
signed = {path.name: signers_of(path) for path in stored}
signers: dict[str, dict[str, object]] = {
    name: {"release": None, "day": None, "latest": None} for name in keys_of(pathlib.Path(current))
}
for path in stored:
    names = {key: name for name, key in keys_of(path).items()}
    said = text_of(path / "SHA256SUMS.latest")
    match = re.search(r"(?m)^Date: (\S+)\n(?:.*\n)?Key: (\S+)$", said)
    for name in signers.keys() & {*signed[path.name]}:
        signers[name] |= {"release": int(path.name), "day": day_of(path)}
    if match and names.get(match[2]) in signers:
        signers[names[match[2]]]["latest"] = match[1]
lines = []
for path in stored:
    by = ", ".join(signed[path.name]) or "nobody"
    lines.append(f"{'release ' + path.name:22} of {day_of(path)}, signed by {by}")
lines += [f"{'signer ' + name:22} {describe(last)}" for name, last in signers.items()]
if options:
    lines = [json.dumps({"signed": signed, "signers": signers})]
sys.stdout.writelines(f"{line}\n" for line in lines)
