"""Which package of cccr_web may import which."""

from __future__ import annotations

# package or top-level module of cccr_web: those that it may import
PACKAGES: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "facts": set(),
    "languages": set(),
    "listen": {"errors", "systemd"},
    "config": {"errors", "facts", "listen"},
    "content": {"errors", "facts", "languages"},
    "release": {"errors", "facts", "files"},
    # One file for readers, without anything else of ours.
    "standalone": set(),
    "render": {"content", "errors", "languages", "notices", "release"},
    "publish": {"content", "errors", "files", "release", "render"},
    "write": {"content", "errors", "facts", "files", "languages", "render"},
    "serve": {"errors", "languages", "listen", "notices", "release", "systemd"},
    # Only cli imports it, so no release and no server contains it.
    "preview": {"content", "errors", "languages", "release", "render", "serve"},
    "systemd": {"errors"},
    "onion": {"errors", "files", "listen"},
    "socks": {"listen"},
    "standby": {"errors", "facts", "listen", "notices", "release", "socks"},
    "watch": {"errors", "files", "listen", "release", "serve", "socks"},
    "notify": {"errors", "files", "listen", "socks"},
    "notices": {"errors", "facts", "files", "release"},
    "mirror": {"errors", "files", "languages", "notices", "release", "serve", "watch"},
    "doctor": {"errors", "listen", "notices", "onion", "release", "serve", "version", "watch"},
    "cli": {
        *("config", "content", "doctor", "errors", "facts", "files", "listen", "mirror"),
        *(
            "notices",
            "notify",
            "onion",
            "preview",
            "publish",
            "release",
            "render",
            "serve",
            "standby",
            "systemd",
            "version",
            "watch",
            "write",
        ),
    },
    "__main__": {"cli"},
    "version": set(),
}
