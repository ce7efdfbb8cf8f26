"""A headless Firefox, controlled by its Marionette protocol (Firefox source docs, Marionette).

Scripts run in the browser itself too (``chrome``), so that a test sees each request and each
line of the console although the page may run no JavaScript.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from support.browser.devtools import FONTS
from support.tornet import await_end

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIME_LIMIT = 60.0  # seconds for any one answer

Pref = bool | int | str

# What Firefox would otherwise do on its own, in addition to what Marionette turns off. Requests
# to any host but loopback end at a proxy port on which nothing listens.
QUIET: dict[str, Pref] = {
    "app.update.disabledForTesting": True,
    "browser.cache.disk.enable": False,
    "browser.cache.memory.enable": False,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.newtabpage.enabled": False,
    "browser.startup.homepage": "about:blank",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "marionette.port": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.http.speculative-parallel-limit": 0,
    "network.prefetch-next": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}

# Records requests of pages and console messages; ``_TAKE_SEEN`` reads them.
_WATCH = """
const seen = {requests: [], console: []};
const host = Services.wm.getMostRecentWindow("navigator:browser");
host.cccrSeen = seen;
function asked(subject, topic) {
  const channel = subject.QueryInterface(Ci.nsIHttpChannel);
  const {browsingContextID, loadingPrincipal} = channel.loadInfo;
  if (!browsingContextID && (!loadingPrincipal || loadingPrincipal.isSystemPrincipal)) return;
  let status = 0;
  try { status = channel.responseStatus; } catch (none) {}
  const failed = topic === "http-on-stop-request" ? channel.status : 0;
  seen.requests.push([topic.replace("http-on-", ""), channel.URI.spec, status, failed]);
}
for (const topic of ["http-on-modify-request", "http-on-examine-response",
    "http-on-stop-request", "http-on-failed-opening-request"]) {
  Services.obs.addObserver(asked, topic);
}
Services.obs.addObserver((subject, topic) => {
  seen.console.push("blocked by the CSP: " + subject.QueryInterface(Ci.nsIURI).spec);
}, "csp-on-violate-policy");
Services.console.registerListener({observe(message) {
  if (!(message instanceof Ci.nsIScriptError)) return;
  if (!message.innerWindowID && !/^http/.test(message.sourceName)) return;
  seen.console.push(`${message.category}: ${message.errorMessage}`);
}});
"""

_TAKE_SEEN = """
const host = Services.wm.getMostRecentWindow("navigator:browser");
const {requests, console} = host.cccrSeen;
return {requests: requests.splice(0), console: console.splice(0)};
"""


@dataclass(frozen=True, slots=True)
class FirefoxRequest:
    """A stage of a request: ``modify-request`` (it begins), ``stop-request`` and others.

    ``status`` is the HTTP status or 0; ``error`` is Firefox's error number or 0.
    """

    stage: str
    url: str
    status: int
    error: int


class MarionetteError(Exception):
    """Firefox rejected a command, or did not answer in time."""


class Firefox:
    """One process with one tab, and with these preferences in its profile."""

    def __init__(self, profile: Path, prefs: Mapping[str, Pref] | None = None) -> None:
        profile.mkdir()
        self.downloads = profile.with_name("downloads")
        self.downloads.mkdir()
        self._profile = profile
        self._errors = profile.with_name("firefox-errors")
        lines = {**QUIET, "browser.download.dir": str(self.downloads), **(prefs or {})}
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in lines.items())
        )
        self._last_id = 0

    def __enter__(self) -> Self:
        command = ["setpriv", "--pdeathsig", "KILL", "firefox-esr", "--headless", "--no-remote"]
        command += ["--profile", str(self._profile)]
        command += ["--marionette", "--remote-allow-system-access"]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={
                    **os.environ,
                    **FONTS,
                    "HOME": str(self._profile.parent),
                    "LC_ALL": "C.UTF-8",
                },
            )
        try:
            self._connect()
        except BaseException:
            await_end(self.process, 10)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(MarionetteError, OSError):
            self.call("Marionette:Quit", flags=["eForceQuit"])
        self._stream.close()
        self._link.close()
        await_end(self.process, 10)

    def _connect(self) -> None:
        port = self._profile / "MarionetteActivePort"
        end_at = time.monotonic() + TIME_LIMIT
        while not (port.exists() and port.read_text()):
            if self.process.poll() is not None or time.monotonic() > end_at:
                tail = self._errors.read_text(encoding="utf-8", errors="replace")[-1000:]
                raise MarionetteError(f"firefox-esr did not start. Its output ends with: {tail}")
            time.sleep(0.05)
        self._link = socket.create_connection(("127.0.0.1", int(port.read_text())), TIME_LIMIT)
        self._stream = self._link.makefile("rb")
        self._receive()
        # The load event may be that of the page before, where both have one address.
        self.call("WebDriver:NewSession", capabilities={"timeouts": {"implicit": 10_000}})
        self.chrome(_WATCH)

    def _receive(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            if not digit:
                raise MarionetteError("firefox-esr closed the connection")
            length += digit
        return json.loads(self._stream.read(int(length)))

    def call(self, command: str, **params: Any) -> Any:
        """Send one command and return its result."""
        self._last_id += 1
        message = json.dumps([0, self._last_id, command, params]).encode()
        self._link.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self._receive()
        assert number == self._last_id
        if error:
            raise MarionetteError(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def chrome(self, script: str, *arguments: Any) -> Any:
        """Run a script in the browser itself; return what it returns."""
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.call(
                "WebDriver:ExecuteScript", script=script, args=arguments, sandbox="system"
            )
        finally:
            self.call("Marionette:SetContext", value="content")

    def page(self, script: str, *arguments: Any) -> Any:
        """Run a script of the test in the page, even where the page's own may not run."""
        return self.call("WebDriver:ExecuteScript", script=script, args=arguments, sandbox="test")

    def visit(self, url: str) -> None:
        """Go to ``url`` and wait until it is loaded."""
        self.call("WebDriver:Navigate", url=url)

    def take_seen(self) -> tuple[list[FirefoxRequest], list[str]]:
        """Return the requests of pages and the console messages since the last call."""
        seen = self.chrome(_TAKE_SEEN)
        return [FirefoxRequest(*request) for request in seen["requests"]], seen["console"]

    def prefer(self, name: str, value: Pref) -> None:
        """Change a preference at run time."""
        kind = {bool: "Bool", int: "Int", str: "String"}[type(value)]
        self.chrome(f"Services.prefs.set{kind}Pref(...arguments);", name, value)

    def size(self, width: int, height: int) -> None:
        """Set the size of the viewport, in CSS pixels without zoom."""
        self.chrome(
            """
            const [width, height] = arguments;
            const host = Services.wm.getMostRecentWindow("navigator:browser");
            host.document.documentElement.style.minWidth = "0";
            const inside = host.gBrowser.selectedBrowser.getBoundingClientRect();
            host.resizeBy(width - inside.width, height - inside.height);
            """,
            width,
            height,
        )

    def zoom(self, factor: float) -> None:
        """Zoom the page as a reader would."""
        self.chrome(
            """
            const host = Services.wm.getMostRecentWindow("navigator:browser");
            host.gBrowser.selectedBrowser.fullZoom = arguments[0];
            """,
            factor,
        )
