"""Show the texts in a browser while somebody writes them; nothing here is part of a release.

Invariant: only ``cli`` imports this package, so no release and no server can contain it.
"""

from cccr_web.preview.app import PreviewApp
from cccr_web.preview.changes import find_changes
from cccr_web.preview.edition import Edition, EditionReader
from cccr_web.preview.server import serve_preview
from cccr_web.preview.watcher import Watcher

__all__ = ["Edition", "EditionReader", "PreviewApp", "Watcher", "find_changes", "serve_preview"]
