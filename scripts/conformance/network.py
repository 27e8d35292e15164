"""The network of a run: a namespace of its own, with an address for the host in it and a range for Pods.

Pods need addresses that are not loopback: the API server refuses EndpointSlices with 127.0.0.0/8 in them. In a network
namespace of our own any range is free, and ports 80 and 443 are too. Needs iproute2 and util-linux; root, or a kernel
that lets users make namespaces.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

from .problem import ConformanceError

HOST = "10.244.0.1"  # API server, kubelet, the implementation's own connections
PODS = "10.244.{}.{}"
SERVICES = "10.96.0.0/16"  # cluster IPs: given out by the API server, routed nowhere
GATEWAYS = "10.245.0.0/16"  # all of it is local: addresses for Gateways
LIFELINE = "RAUTA_CONFORMANCE_LIFELINE"


def pod_address(number: int) -> str:
    """The address of the number-th Pod of a run (from 0). After 63,000 they come again."""
    block, host = divmod(number % (254 * 250), 250)
    return PODS.format(block + 1, host + 1)


def enter(module: str, arguments: list[str]) -> int:
    """Run this program again in new network and process namespaces; its exit status.

    The inner one holds the end of a pipe, and ends in order when the other end closes: on Ctrl-C, on SIGTERM, and when
    this process is killed. With it, its process namespace ends, so nothing of a run is ever left over.
    """
    for tool in ("ip", "unshare", "nsenter", "chroot"):
        if not shutil.which(tool):
            raise ConformanceError(f"{tool} is not installed. On Debian and Ubuntu: apt install iproute2 util-linux")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespaces = ["unshare", *user, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*namespaces, "true"], check=False, capture_output=True).returncode:
        raise ConformanceError("this user cannot make network and process namespaces here: run as root")
    reading, writing = os.pipe()

    def close(*_: object) -> None:
        with contextlib.suppress(OSError):  # the second signal
            os.close(writing)

    signal.signal(signal.SIGINT, close)
    signal.signal(signal.SIGTERM, close)
    command = [*namespaces, sys.executable, "-m", module, *arguments]
    environment = {**os.environ, LIFELINE: str(reading)}
    with subprocess.Popen(command, env=environment, pass_fds=(reading,)) as child:
        os.close(reading)
        return child.wait()


def run(program: str, outer: Callable[[], int], inner: Callable[[], Coroutine[None, None, int]]) -> int:
    """Be a program that works in the network it makes: `outer` is all before, which calls `enter`; `inner` is the work.

    Returns the exit status of either; 2 after a ConformanceError, which is printed, and 130 if it was interrupted.
    """
    try:
        lifeline = os.environ.pop(LIFELINE, None)
        if lifeline is None:
            return outer()
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the outer process too, which tells us in order
        os.set_inheritable(int(lifeline), False)
        return asyncio.run(_until(int(lifeline), inner()))
    except ConformanceError as trouble:
        print(f"{program}: {trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # in the outer process, before there is an inner one
        return 130


async def _until(lifeline: int, work: Coroutine[None, None, int]) -> int:
    """The work, cancelled when the outer process wants it to end or is gone: then `lifeline` reads as ended."""
    loop, running = asyncio.get_running_loop(), asyncio.create_task(work)

    def end() -> None:
        loop.remove_reader(lifeline)
        running.cancel()

    loop.add_reader(lifeline, end)
    try:
        return await running
    except asyncio.CancelledError:
        return 130


def set_up() -> None:
    """Give the namespace its addresses and let it route between Pods."""
    _ip(
        "link set lo up",
        f"address add {HOST}/32 dev lo",
        f"route add local {GATEWAYS} dev lo",
    )
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")  # also for an implementation that drops root


def _ip(*lines: str, inside_of: int | None = None) -> None:
    """Run lines of `ip`, in the network namespace of a process if one is given."""
    enter_first = [] if inside_of is None else ["nsenter", f"--net=/proc/{inside_of}/ns/net"]
    done = subprocess.run(
        [*enter_first, "ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConformanceError(f"ip: {done.stderr.strip()} (of: {'; '.join(lines)})")


async def connect(pid: int, number: int) -> None:
    """Give a Pod's address to the namespace of a process that `unshare --net` has just started."""
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == own:  # until unshare has done its work
        await asyncio.sleep(0.002)
    address = pod_address(number)
    link = f"veth{pid}"  # by the Pod's number, it could still be there from the Pod's last life
    _ip(
        f"link add {link} type veth peer name eth0 netns {pid}",
        f"link set {link} up",
        f"route replace {address}/32 dev {link} src {HOST}",
    )
    _ip(
        "link set lo up",
        f"address add {address}/32 dev eth0",
        "link set eth0 up",
        f"route add {HOST}/32 dev eth0",
        f"route add default via {HOST} dev eth0",
        inside_of=pid,
    )
