"""Which package of cccr_web may import which."""

from __future__ import annotations

# package or top-level module of cccr_web: those that it may import
PACKAGES: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "languages": set(),
    "listen": {"errors", "systemd"},
    "config": {"errors", "listen", "onion_address"},
    "content": {"errors", "languages", "onion_address"},
    "release": {"errors", "files", "onion_address"},
    # One file for readers, without anything else of ours.
    "standalone": set(),
    "render": {"content", "errors", "languages", "notices", "release"},
    "serve": {"errors", "languages", "listen", "release", "systemd"},
    "systemd": {"errors"},
    "onion": {"errors", "files", "listen", "onion_address"},
    "onion_address": set(),
    "watch": {"errors", "listen", "release", "serve"},
    "notices": {"errors", "files", "onion_address", "release"},
    "mirror": {"errors", "files", "languages", "release", "serve"},
    "doctor": {"errors", "listen", "notices", "onion", "release", "serve", "version", "watch"},
    "cli": {
        *("config", "content", "doctor", "errors", "listen", "mirror", "notices", "onion"),
        *("release", "render", "serve", "systemd", "version", "watch"),
    },
    "__main__": {"cli"},
    "version": set(),
}
