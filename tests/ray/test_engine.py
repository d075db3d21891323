"""How Ray is started."""

import socket
from contextlib import suppress

import pytest
import ray


def test_our_own_instance_listens_to_this_machine_alone(ray_local):
    node = ray.nodes()[0]
    ports = [int(ray.get_runtime_context().gcs_address.rpartition(":")[2])]
    ports += [node["NodeManagerPort"], node["ObjectManagerPort"]]
    outside = _own_address()
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        with pytest.raises(OSError):
            socket.create_connection((outside, port), timeout=10)


def _own_address() -> str:
    """Of this machine as others see it. Nothing is sent: the address is one of those kept for documentation."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        if not (address := str(probe.getsockname()[0])).startswith("127."):
            return address
    pytest.skip("this machine has no network")
