"""What a static host needs to serve a release: its files, and the headers to send with them."""

from cccr_web.mirror.folder import write_mirror
from cccr_web.mirror.host_rules import host_files

__all__ = ["host_files", "write_mirror"]
