"""``cccr-web publish`` asks an onion whether it serves the new release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.deploy.scripts import AdminSide
from support.hosting import Watched, short_folder
from support.journey import Journey
from support.serving import Server
from support.texts import add, replace_once

from cccr_web.onion import ManagedTor, Published, Service, new_key

if TYPE_CHECKING:
    from support.tornet import TorNetwork


def test_onions_are_asked_through_tor(tor_network: TorNetwork) -> None:
    """An onion that serves the release is counted; one with an older release is a failure."""
    with short_folder() as folder:
        editor, side = Journey(folder), AdminSide(folder)
        (folder / "deploy/site.env").unlink()
        key = new_key(folder / "onion.key")
        replace_once("site.toml", "onions = []", f'onions = ["{key.address}"]')(editor.tree)
        editor.run("publish", "--key", "organisation.key", typed="y\n")

        tor = ManagedTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))
        with (
            Server(folder, folder / "releases/1") as server,
            Watched(Service(key, server.onion), tor) as watched,
        ):
            watched.wait_for(Published)
            tor_network.fetch_until(f"http://{key.address}/en/")
            side.settings("SERVER=root@server.example\nPUBLIC_KEY=../organisation.pub\n")
            socks = ("--socks", f"127.0.0.1:{tor_network.socks_port}")
            deployed = ("publish", "--key", "organisation.key", *socks)
            printed = editor.run(*deployed, settings=side.environment())
            assert "addresses  1 of 1 serve release 1\n" in printed

            for locale, words in (("en", "A new paragraph."), ("zh_Hans", "新的一段。")):
                add(f"{locale}/pages/verify.md", words)(editor.tree)
            printed = editor.run(*deployed, typed="y\n", status=1, settings=side.environment())
            assert "addresses  0 of 1 serve release 2\n" in printed
            assert f"  http://{key.address} does not serve it yet: " in printed
        assert side.commands() == ["release", "release"]
