"""The first day of a server: from a fresh Debian to a live site.

The tests of this folder tell one story: each builds on the state that earlier ones left.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.clients import ClearnetClient, get_over_http, send_raw
from support.deploy.inspection import (
    disk_state,
    header_policy,
    lower,
    onion_address,
    without_connection_headers,
)
from support.deploy.machine import SERVER, Machine, Network
from support.deployed_nginx import OWN_ERRORS
from support.signed import content, facts

from cccr_web.release import format_policy
from cccr_web.serve.policy import listener_policy

if TYPE_CHECKING:
    from support.measurements import Recorder
    from support.tornet import Reply, TorNetwork

PAGE = "/en/index.html"
# Errors without a page allow no style.
PAGE_POLICY = format_policy(listener_policy("onion", facts(1)).content_security_policy)


def test_a_dry_run_on_a_fresh_server_shows_all_changes_and_makes_none(
    admin: AdminMachine, server: Machine
) -> None:
    """A dry run shows each line that would be written and changes nothing on the disk."""
    before = disk_state(server)
    done = admin.deploy("--dry-run", "--offline", admin.bundle)
    assert disk_state(server) == before
    assert "would install from Debian: " in done.stderr
    assert "+SocksPort 0" in done.stderr
    assert "Nothing was changed." in done.stderr


def test_install_brings_up_the_site_within_five_minutes(
    admin: AdminMachine, server: Machine, private_tor: TorNetwork, note: Recorder
) -> None:
    """One command turns a fresh Debian into a site whose onion answers."""
    began = time.monotonic()
    done = admin.deploy("--offline", admin.bundle)
    onion = onion_address(server)
    assert f"clearnet https://{DOMAIN}/\nonion http://{onion}/\n" in done.stdout
    reply = private_tor.fetch_until(f"http://{onion}{PAGE}")
    assert b"release 1" in reply.body
    seconds = time.monotonic() - began
    note("fresh Debian to answering onion", seconds)
    assert seconds < 300
    assert server.run("systemctl", "--failed", "--no-legend") == ""


@pytest.mark.usefixtures("drips")  # they take half a minute, so they start early
def test_a_second_install_changes_nothing(
    admin: AdminMachine, server: Machine, note: Recorder
) -> None:
    """A second install changes nothing, says so, and takes less than a minute."""
    before = disk_state(server)
    done = admin.deploy("--offline", admin.bundle)
    assert done.stderr.endswith("Nothing needed to be changed.\n"), done.stderr
    note("second run", done.seconds)
    assert done.seconds < 60
    assert disk_state(server) == before


def test_nginx_nft_tor_and_systemd_accept_their_configuration(server: Machine) -> None:
    """Each program's own check accepts the installed configuration."""
    server.run("nginx", "-t", "-c", "/etc/cccr-web/nginx/nginx.conf")
    server.run("nft", "--check", "--file", "/etc/cccr-web/nftables.conf")
    torrc = ["--defaults-torrc", "/run/tor-instances/cccr.defaults", "--verify-config"]
    server.run("tor", *torrc, "-f", "/etc/tor/instances/cccr/torrc")
    folder = server.root / "etc/systemd/system"
    found = [f"/etc/systemd/system/{unit.name}" for unit in folder.glob("cccr-web-*.[s]*")]
    units = [unit for unit in found if unit.endswith((".service", ".socket"))]
    assert len(units) == 5
    done = server.try_run("systemd-analyze", "verify", "--recursive-errors=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_tor_has_the_rules_of_apparmor_as_debians_own(server: Machine) -> None:
    """AppArmor's parser accepts the profile that tor's unit names, and it allows tor's own folders.

    The profile is enforced only where the kernel has AppArmor.
    """
    profile = "/etc/apparmor.d/cccr_tor"
    server.run("apparmor_parser", "--skip-kernel-load", "--skip-cache", profile)
    names = server.run("apparmor_parser", "--names", profile)
    show = server.run("systemctl", "show", "--property=AppArmorProfile", "--value", "tor@cccr")
    assert show.strip() in {f"-{names.strip()}", f"(null) {names.strip()}", names.strip()}
    ours = (server.root / profile[1:]).read_text()
    for rule in (server.root / "etc/apparmor.d/system_tor").read_text().splitlines():
        own = rule.replace("/lib/tor/", "/lib/tor-instances/cccr/")
        own = own.replace("run/tor/", "run/tor-instances/cccr/")
        if rule.strip().startswith(("/", "owner ")) and "/log/" not in rule:
            assert own in ours.splitlines(), rule


EXPOSURE = {
    "cccr-web-clearnet": 0.5,
    "cccr-web-onion": 0.5,
    "cccr-web-manager": 0.5,
    "nginx": 3.0,  # 7.1 as Debian installs it
    "tor@cccr": 3.0,  # 6.6
}


@pytest.mark.parametrize("unit", EXPOSURE)
def test_each_unit_has_a_low_exposure_level(server: Machine, unit: str, note: Recorder) -> None:
    """Each unit scores as little as it can in systemd-analyze security (lower is safer)."""
    output = server.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)
    assert found is not None
    note(f"systemd-analyze security {unit}", float(found[1]), "")
    assert float(found[1]) <= EXPOSURE[unit], output


def test_ssh_accepts_keys_only_and_forwards_nothing(admin: AdminMachine) -> None:
    """A client without a key is offered no other method; one with a key can run commands only."""
    without = admin.ssh("-o", "PubkeyAuthentication=no", f"root@{SERVER}", "true")
    assert "Permission denied (publickey)." in without.stderr
    forwarding = admin.ssh("-W", "127.0.0.1:80", f"root@{SERVER}")
    assert forwarding.returncode != 0
    assert "administratively prohibited" in forwarding.stderr
    assert admin.ssh(f"root@{SERVER}", "true").returncode == 0


def test_our_processes_have_no_network(server: Machine) -> None:
    """The only network interface of our processes is their own loopback."""
    for unit in ("clearnet", "onion", "manager"):
        process = server.main_process(f"cccr-web-{unit}.service")
        lines = Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_only_ssh_http_and_https_are_reachable(server: Machine, network: Network) -> None:
    """The firewall blocks every other port from outside, even if something listens on it."""
    with socket.create_server(("0.0.0.0", 9999)):  # noqa: S104  # in a namespace of the tests
        reached = [port for port in (22, 80, 443, 9999, 9050) if reaches(network, port)]
    assert reached == [22, 80, 443]
    listening = server.run("ss", "--numeric", "--listening", "--tcp", "--no-header", "--processes")
    ours = {line.split()[3].rpartition(":")[2] for line in listening.splitlines() if "pid=" in line}
    assert ours <= {"22", "80", "443"}


def test_one_address_may_hold_200_connections(server: Machine, network: Network) -> None:
    """The firewall allows one address 200 connections, which leaves room for other clients."""
    connect = (
        "import socket\n"
        "held = []\n"
        "for _ in range(210):\n"
        "    link = socket.socket(); link.settimeout(0.2)\n"
        "    try:\n"
        f"        link.connect(('{SERVER}', 443)); held.append(link)\n"
        "    except TimeoutError:\n"
        "        link.close()\n"
        "print(len(held))\n"
    )
    assert server.pid
    command = ["ip", "netns", "exec", network.admin, "python3", "-c", connect]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 190 <= int(done.stdout) <= 200


def reaches(network: Network, port: int) -> bool:
    """Return whether the admin's machine can connect to a port of the server."""
    knock = f"exec 3<>/dev/tcp/{SERVER}/{port}"
    command = ["ip", "netns", "exec", network.admin, "timeout", "1", "bash", "-c", knock]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_a_clearnet_page_has_the_signed_bytes_and_the_policy_headers(
    server: Machine, clearnet: ClearnetClient
) -> None:
    """A page over https has the signed bytes and the policy's headers, each once, and no others."""
    reply = clearnet.get(PAGE)
    assert reply.status == 200
    assert reply.body == content(1)["en/index.html"]
    found = without_connection_headers(lower(reply.headers))
    own = {"content-type", "etag", "onion-location", "vary", "accept-ranges", "cache-control"}
    wanted = {name.lower(): value for name, value in header_policy(server, "clearnet").items()}
    wanted["content-security-policy"] = PAGE_POLICY
    del wanted["cache-control"]
    assert {name: value for name, value in found.items() if name not in own} == wanted
    assert found["onion-location"] == f"http://{onion_address(server)}{PAGE}"
    assert found["cache-control"] == "public, max-age=300"


def test_an_onion_page_has_the_signed_bytes_and_the_policy_headers(
    server: Machine, hidden: Callable[[str], Reply]
) -> None:
    """A page over the onion has the same bytes and the onion's headers."""
    reply = hidden(PAGE)
    assert reply.body == content(1)["en/index.html"]
    found = without_connection_headers(lower(reply.headers))
    wanted = {name.lower(): value for name, value in header_policy(server, "onion").items()}
    wanted["content-security-policy"] = PAGE_POLICY
    del wanted["cache-control"]
    own = {"content-type", "etag", "vary", "accept-ranges", "cache-control"}
    assert {name: value for name, value in found.items() if name not in own} == wanted


def test_the_cache_chooses_the_same_coding_as_our_server(clearnet: ClearnetClient) -> None:
    """A cached response has the coding, Vary and ETag that our server would send."""
    for accepted in ("br, gzip", "gzip, deflate", "gzip;q=0.5, identity", "", "zstd"):
        direct = clearnet.get(f"{PAGE}?not-cached", {"Accept-Encoding": accepted})
        cached = clearnet.get(PAGE, {"Accept-Encoding": accepted})
        assert cached.body == direct.body
        for name in ("content-encoding", "vary", "etag"):
            assert lower(cached.headers).get(name) == lower(direct.headers).get(name), accepted


def test_conditional_requests_are_answered(clearnet: ClearnetClient) -> None:
    """A known ETag gets 304, and a precondition that fails gets 412."""
    tag = lower(clearnet.get(PAGE).headers)["etag"]
    assert clearnet.get(PAGE, {"If-None-Match": tag}).status == 304
    assert clearnet.get(PAGE, {"If-Match": '"another"'}).status == 412


def test_the_language_redirect_is_not_cached(clearnet: ClearnetClient) -> None:
    """Each client is redirected to its own language, whatever the previous client asked for."""
    for language in ("en", "zh-CN", "en"):
        reply = clearnet.get("/", {"Accept-Language": language})
        assert lower(reply.headers)["location"] == ("/en/" if language == "en" else "/zh-hans/")


def test_http_redirects_to_https(clearnet: ClearnetClient) -> None:
    """A redirect from http to https keeps the host name, path and query."""
    reply = get_over_http("/en/?a=b", {"Host": DOMAIN})
    assert (reply.status, reply.body) == (301, b"")
    assert lower(reply.headers)["location"] == f"https://{DOMAIN}/en/?a=b"
    assert "strict-transport-security" not in lower(reply.headers)
    assert lower(clearnet.get(PAGE).headers)["strict-transport-security"]


def test_tls_offers_http2_and_rejects_old_versions_and_other_names(
    clearnet: ClearnetClient,
) -> None:
    """The server negotiates HTTP/2 and TLS 1.3, and rejects TLS 1.1 and unknown names."""
    clearnet.context.set_alpn_protocols(["h2", "http/1.1"])
    with clearnet.connect() as connection:
        assert (connection.selected_alpn_protocol(), connection.version()) == ("h2", "TLSv1.3")
    clearnet.context.set_alpn_protocols(["http/1.1"])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    for name, context in ((DOMAIN, old), ("other.example", _any_certificate())):
        if context is old:
            with pytest.warns(DeprecationWarning, match="TLS"):
                old.maximum_version = old.minimum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", 443)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=name)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def policies(server: Machine) -> dict[str, dict[str, str]]:
    """Both listeners' headers, which take the server a second to print."""
    return {listener: header_policy(server, listener) for listener in ("clearnet", "onion")}


NGINX_RESPONSES = {
    **OWN_ERRORS,
    421: b"GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("route", ["clearnet", "plain", "onion"])
@pytest.mark.parametrize("status", NGINX_RESPONSES)
def test_responses_of_nginx_itself_have_the_policy_headers(
    server: Machine,
    clearnet: ClearnetClient,
    policies: dict[str, dict[str, str]],
    status: int,
    route: str,
) -> None:
    """nginx's own error responses have the policy's headers, no body and no trace of nginx."""
    if route == "clearnet":
        connection: socket.socket = clearnet.connect()
    elif route == "plain":
        connection = socket.create_connection(("127.0.0.1", 80))
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(server.onion_socket))
    name = onion_address(server) if route == "onion" else DOMAIN
    with connection:
        got = send_raw(connection, NGINX_RESPONSES[status].replace(b"%s", name.encode()))
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    if route == "onion" and status == 421:
        assert b"nginx" not in got  # our server's response
        return
    assert int(first.split()[1]) == status, got
    found = without_connection_headers(lower([tuple(line.split(": ", 1)) for line in lines]))  # type: ignore[misc]
    found.pop("location", None)
    wanted = dict(policies["onion" if route == "onion" else "clearnet"])
    if route == "plain":
        del wanted["Strict-Transport-Security"]
    assert found == {name.lower(): value for name, value in wanted.items()}
    assert body == b""
