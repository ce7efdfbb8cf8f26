"""What is to be looked at: where everything of one site is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cccr_web.doctor.private import Private
from cccr_web.listen import Tcp
from cccr_web.onion import ControlAddress
from cccr_web.release import PublicKey

HTTPS = Tcp("127.0.0.1", 443)
HTTP = Tcp("127.0.0.1", 80)
TIME_LIMIT = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """One site.

    ``release`` is the path that is served, ``key`` the organisation's; ``states`` are the
    servers' folders. ``domain`` and ``onion`` are the site's names, if not those of the
    release. ``web`` and ``plain`` are where this machine takes https and http,
    ``authorities`` a file of certificates to trust besides the system's. ``control`` is
    the hosting tor's, ``torrc`` a file of further lines for the client tor that is
    started. ``private`` are files that not everybody may
    reach. ``seconds`` is what one look at one road may take.
    """

    release: Path
    key: PublicKey
    states: tuple[Path, ...] = ()
    domain: str | None = None
    onion: str | None = None
    onion_key: Path | None = None
    control: ControlAddress | None = None
    web: Tcp = HTTPS
    plain: Tcp = HTTP
    authorities: Path | None = None
    torrc: Path | None = None
    private: tuple[Private, ...] = ()
    seconds: float = TIME_LIMIT
