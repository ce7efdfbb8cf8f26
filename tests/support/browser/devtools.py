"""A headless Chromium, controlled by the Chrome DevTools Protocol over a pipe.

The pipe needs no library and no open port, and Chromium ends when it is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.tornet import await_end

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME_LIMIT = 120.0  # seconds for any one answer, on a busy machine

# What a page looks like must not depend on the fonts of the machine.
FONTS = {"FONTCONFIG_FILE": str(Path(__file__).with_name("fonts.conf"))}

# Most of these keep it from contacting Google's hosts and from looking for a GPU at each start.
# The resolver rules allow no host but this one. Without the back-forward cache and a spare
# renderer, a page costs a third less CPU, as the next one does not start a process.
QUIET = (
    "--headless=new",
    "--disable-gpu",
    "--disable-gpu-rasterization",
    "--disable-quic",
    "--disable-back-forward-cache",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-features=SpareRendererForSitePerProcess,PaintHolding,RenderDocument",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-sandbox",  # CI runs the tests as root, for whom there is none
    "--password-store=basic",
)

# The protocol on descriptors 3 (in) and 4 (out), as --remote-debugging-pipe has it.
_ON_PIPE = 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2'


class DevToolsError(Exception):
    """Chromium rejected a command, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class BrowserEvent:
    """An event that Chromium sent."""

    method: str
    params: dict[str, Any]


class Chromium:
    """One process with any number of tabs; ``port_file`` is written if a port was asked for."""

    def __init__(self, profile: Path, *options: str) -> None:
        self._errors = profile.with_name("chromium-errors")
        self.port_file = profile / "DevToolsActivePort"
        command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _ON_PIPE, "sh", "chromium"]
        command += [*QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self._command = [*command, *options, "about:blank"]
        self._buffer = b""
        self._last_id = 0
        self._replies: dict[int, dict[str, Any]] = {}
        self._events: dict[str, list[BrowserEvent]] = {}

    def __enter__(self) -> Self:
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                # its wrapper script and its libraries write to HOME
                env={**os.environ, **FONTS, "HOME": str(self._errors.parent)},
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(DevToolsError):
            self.call("Browser.close")
        self.process.stdin.close()
        self.process.stdout.close()
        await_end(self.process, 10)

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        assert self.process.stdin is not None
        self._last_id += 1
        number = self._last_id
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\0")
        except BrokenPipeError as error:
            raise DevToolsError(self._stderr_tail()) from error
        end_at = time.monotonic() + TIME_LIMIT
        while number not in self._replies:
            self._read(end_at, method)
        reply = self._replies.pop(number)
        if "error" in reply:
            raise DevToolsError(f"{method}: {reply['error']}")
        result: dict[str, Any] = reply["result"]
        return result

    def events(self, session: str) -> list[BrowserEvent]:
        """Return the list to which the events of a session are added."""
        return self._events.setdefault(session, [])

    def pump(self, end_at: float, waiting_for: str) -> None:
        """Read what Chromium sends next; ``DevToolsError`` at ``end_at`` (monotonic clock)."""
        self._read(end_at, waiting_for)

    def _read(self, end_at: float, waiting_for: str) -> None:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end_at - time.monotonic()))
        if not ready:
            raise DevToolsError(f"no answer within {TIME_LIMIT} s: {waiting_for}")
        more = os.read(descriptor, 1 << 20)
        if not more:
            raise DevToolsError(self._stderr_tail())
        *messages, self._buffer = (self._buffer + more).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._replies[message["id"]] = message
            else:
                event = BrowserEvent(message["method"], message["params"])
                self.events(message.get("sessionId", "")).append(event)

    def _stderr_tail(self) -> str:
        tail = self._errors.read_text(encoding="utf-8", errors="replace")[-1000:]
        return f"chromium ended. Its output ends with: {tail}"

    @contextlib.contextmanager
    def tab(self, *, shared: bool = False) -> Iterator[Tab]:
        """Open a tab, and close it at the end; it is isolated from others unless ``shared``."""
        if not shared:
            with self.tabs(1) as (tab,):
                yield tab
            return
        tab = Tab(self)
        try:
            yield tab
        finally:
            self.call("Target.closeTarget", targetId=tab.target)

    @contextlib.contextmanager
    def tabs(self, count: int) -> Iterator[list[Tab]]:
        """Open ``count`` tabs, isolated from others, and close them at the end."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            yield [Tab(self, context) for _ in range(count)]
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """One tab; ``events`` holds what it sent since it opened or was last cleared."""

    def __init__(self, browser: Chromium, context: str | None = None) -> None:
        self._browser = browser
        options = {} if context is None else {"browserContextId": context}
        target = browser.call("Target.createTarget", url="about:blank", **options)
        self.target: str = target["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)
        self._session: str = attached["sessionId"]
        self.events = browser.events(self._session)
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command to this tab."""
        return self._browser.call(method, self._session, **params)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; it waits for a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise DevToolsError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the viewport in CSS pixels; a phone has two device pixels for each."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    def media(self, scheme: str, medium: str = "") -> None:
        """Prefer the colour scheme ``light`` or ``dark``; show as on ``medium``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def visit(self, url: str, until: str = "load") -> None:
        """Go to ``url`` and wait for a lifecycle event: ``load``, or later ``networkIdle``."""
        self.wait(self.go(url), until)

    def go(self, url: str) -> str:
        """Clear the events and start to go to ``url``; return the loader to wait for."""
        self.events.clear()
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise DevToolsError(f"{url}: {answer['errorText']}")
        loader: str = answer["loaderId"]
        return loader

    def wait(self, loader: str, until: str) -> None:
        """Wait for a lifecycle event of the page that ``go`` went to."""
        end_at = time.monotonic() + TIME_LIMIT
        while not any(
            event.method == "Page.lifecycleEvent"
            and (event.params["loaderId"], event.params["name"]) == (loader, until)
            for event in self.events
        ):
            self._browser.pump(end_at, until)

    def received(self, *methods: str) -> list[dict[str, Any]]:
        """Return the parameters of the events of these methods."""
        return [event.params for event in self.events if event.method in methods]
