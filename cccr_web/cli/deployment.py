"""What "publish" does with a signed release: ``deploy.sh``, and a question to every address."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cccr_web.cli.terminal import say_step, working
from cccr_web.cli.watch import ask_addresses
from cccr_web.config import find_tree
from cccr_web.errors import CccrError
from cccr_web.listen import Tcp

if TYPE_CHECKING:
    from cccr_web.release import Release, SigningPolicy

# In seconds, for each address.
_TIME_LIMIT = 60.0


def deploy_command(settings: Path | None) -> list[str]:
    """Return ``deploy.sh`` with its settings, or nothing without servers. Raises ``CccrError``."""
    try:
        folder = find_tree("deploy")
    except CccrError as error:  # in a wheel
        if settings is None:
            return []
        raise CccrError(
            "deploy.sh is not installed with cccr-web.", "Run deploy/cccr-web in a checkout."
        ) from error
    if settings is None and not (folder / "site.env").exists():
        return []
    settings = settings or folder / "site.env"
    if not settings.is_file():
        raise CccrError(f"There are no settings in {settings}.", "Pass another file to --to.")
    return [str(folder / "deploy.sh"), "--settings", str(settings)]


def deploy(path: Path, command: Sequence[str]) -> None:
    """Bring the release at ``path`` to every server. Raises ``CccrError``."""
    # Only our own lines are on stdout.
    done = subprocess.run([*command, "release", str(path.absolute())], stdout=2, check=False)
    if done.returncode != 0:
        raise CccrError(
            f"{path} was not deployed. The messages above say why.",
            "Then run the same command again: it continues there.",
        )
    say_step("deploy", "every server serves it")


def check_addresses(release: Release, policy: SigningPolicy, socks: Tcp | None) -> None:
    """Report which addresses serve the release. Raises ``CccrError`` if one of ours does not."""
    from cccr_web.notices import MIRRORS, read_mirrors
    from cccr_web.watch import CheckSettings, RequestLimits, Route

    facts = release.metadata
    own = [f"http://{onion}" for onion in facts.onions]
    own += [facts.clearnet] if facts.clearnet else []
    mirrors = read_mirrors(release.files[MIRRORS].body).urls if MIRRORS in release.files else ()
    urls = dict.fromkeys((*own, *mirrors))
    settings = CheckSettings(policy, RequestLimits(_TIME_LIMIT), Route(socks))
    with working("asking every address"):
        lagging = ask_addresses(urls, release, settings)
    served = len(urls) - len(lagging)
    say_step(
        "addresses", f"{served} of {len(urls)} serve release {facts.sequence}", *lagging.values()
    )
    wrong = [url for url in own if url in lagging and (socks or not url.endswith(".onion"))]
    if wrong:
        raise CccrError(
            f"{' and '.join(wrong)} should serve release {facts.sequence}.",
            "Look for the reason with “cccr-web watch”, and run the same command again.",
        )
