"""Where a run's bytes go."""

import subprocess
import sys

PROGRAM = """
import os, socket
from scripts.bench import network
before = os.readlink("/proc/self/ns/net"), network.congestion_control()
network.enter()
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
    control = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\\0").decode()
assert control == network.congestion_control()
if os.readlink("/proc/self/ns/net") == before[0]:
    assert control == before[1], "who may not leave the machine's network changes nothing there"
elif os.access(network.CONTROL, os.W_OK):
    assert control in network.PACELESS
"""


def test_loopback_works_in_a_network_of_its_own_or_the_one_there_is() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
