"""Publish the texts: the folder of releases, and the sequence in ``site.toml``.

The state is what is on the disk: the releases, the number in ``site.toml``, and signing requests.
So a run that was interrupted continues with the same command.
"""

from cccr_web.publish.draft import Draft
from cccr_web.publish.releases import Releases, is_signed, locked

__all__ = ["Draft", "Releases", "is_signed", "locked"]
