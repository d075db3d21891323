"""How Ray is started."""

import itertools
import socket
import subprocess
import sys
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from tandemrec.config.root import RaySettings
from tandemrec.engines.ray import start
from tandemrec.errors import EngineError
from tandemrec.rank.actors import cores_held

SCORED_ON_ONE_CORE = """
import sys
import ray
from tandemrec.config.root import RaySettings
from tandemrec.engines.ray import ray_cluster
from tandemrec.rank.actors import READ_CPUS, through_actors

class Same:
    def __init__(self, threads):
        pass

    def __call__(self, batch):
        return batch

with ray_cluster(RaySettings(cpus=1)):
    rows = ray.data.read_parquet(sys.argv[1:], num_cpus=READ_CPUS)
    print("rows", through_actors(rows, Same, {}, actors=1, batch_size=10).count())
"""


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


def test_actors_leave_a_core_to_what_lists_their_files():
    for cores, actors in itertools.product(range(1, 70), range(1, 70)):
        if actors <= cores:
            held = cores_held(cores, actors)
            assert actors * round(held, 4) <= cores - 1 and (held < 1 or held.is_integer())
    assert [cores_held(*one) for one in ((1, 1), (2, 1), (2, 2), (4, 1), (8, 3))] == [0, 1, 0.5, 3, 2]


@pytest.mark.slow
def test_a_machine_of_one_core_reads_and_scores(tmp_path):
    pq.write_table(pa.table({"n": range(30)}), tmp_path / "rows.parquet")
    command = [sys.executable, "-W", "ignore", "-c", SCORED_ON_ONE_CORE, str(tmp_path / "rows.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.stdout.split() == ["rows", "30"], done.stderr


def test_a_cluster_that_does_not_answer_is_named_with_the_setting(monkeypatch):
    def init(**_):
        raise ConnectionError("Failed to connect to Ray cluster at 192.0.2.1:6379.\nmore")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(EngineError, match=r"^ray\.address is '192\.0\.2\.1:6379': Failed .*6379; expected a cluster"):
        start(RaySettings(address="192.0.2.1:6379"))
