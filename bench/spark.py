"""How ingest, clean and examples grow with the input, and clean against a plain copy, a textbook job and its peers.

Every stage is a process of its own on a sample written by Spark, with spark.driver.maxResultSize=64m: a stage that
gathers data on the driver fails. Jobs, shuffle, spill and the times of tasks come from Spark's event log.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import yaml
from event_log import Work, read_work
from figures import ROOT, publish
from process_tree import run_measured

STAGES = ("ingest", "clean", "examples")
MIB = 2**20
PEERS = ("duckdb", "polars")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[1_000_000, 5_000_000, 20_000_000], help="events; no number: none"
    )
    parser.add_argument(
        "--race-rows", type=int, default=5_000_000, help="events of the comparison with others; 0: none"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--memory", default="3g", help="of the driver, which runs the tasks too")
    parser.add_argument("--shuffle-partitions", type=int, default=16)
    parser.add_argument("--folder", help="where samples and lakes go, for a while; default: a temporary folder")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    seconds: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory(prefix="tandemrec-bench-", dir=arguments.folder) as folder:
        for rows in sorted(arguments.rows):
            seconds |= {(stage, rows): took for stage, took in measure(rows, Path(folder), arguments, figures).items()}
        if figures:
            publish("spark", figures | growth(seconds, sorted(arguments.rows)))
        if arguments.race_rows:
            publish("spark_race", race(Path(folder), arguments))
    return 0


def measure(rows: int, folder: Path, arguments: argparse.Namespace, figures: dict[str, float]) -> dict[str, float]:
    """Run the stages on `rows` events. Returns the seconds of each."""
    size = short(rows)
    data, lake, logs = folder / f"data-{size}", folder / f"lake-{size}", folder / f"log-{size}"
    lines = sample(rows, data)
    config = configure(folder / f"{size}.yaml", data, lake, logs, arguments)
    seconds: dict[str, float] = {}
    skews = [figures.get("skew_task_ratio", 0.0)]  # of smaller sizes
    for stage in STAGES:
        logs.mkdir()
        started = time.monotonic()
        run([stage, "--config", str(config)], figures, f"spark_{stage}_{size}_peak_mb")
        seconds[stage] = time.monotonic() - started
        work = read_work(logs)
        figures[f"spark_{stage}_{size}_seconds"] = round(seconds[stage], 1)
        figures |= {f"spark_{stage}_{size}_{name}": value for name, value in counts(work).items()}
        figures[f"rows_per_s_{stage}"] = round(lines / seconds[stage])  # of the largest size in the end
        print(f"{size} {stage}: {lines / seconds[stage]:,.0f} lines a second; most uneven: {work.most_uneven}")
        skews.append(work.skew)
        for log in logs.iterdir():
            log.unlink()
        logs.rmdir()
    figures["skew_task_ratio"] = round(max(skews), 2)
    return seconds


def counts(work: Work) -> dict[str, float]:
    return {
        "jobs": work.jobs,
        "shuffle_written_mb": round(work.shuffle_written / MIB, 1),
        "shuffle_read_mb": round(work.shuffle_read / MIB, 1),
        "spill_mb": round(work.spilled / MIB, 1),
    }


def sample(rows: int, data: Path) -> int:
    """Write a sample of that many events. Returns how many lines it has in all."""
    sizes = {"users": rows // 50, "items": max(1000, rows // 200), "events": rows, "reviews": rows // 50}
    run(["sample", "--engine", "spark", "--out", str(data), *[w for k, v in sizes.items() for w in (f"--{k}", str(v))]])
    planted = json.loads((data / "planted.json").read_text(encoding="utf-8"))
    return sum(planted[table]["rows"] for table in ("events", "items", "reviews"))


def configure(path: Path, data: Path, lake: Path, logs: Path, arguments: argparse.Namespace) -> Path:
    """The demo's settings with the session of the benchmark."""
    settings = yaml.safe_load((ROOT / "conf" / "local.yaml").read_text(encoding="utf-8"))
    log = {"enabled": "true", "dir": logs.as_uri(), "compress": "false", "rolling.enabled": "false"}
    conf = {f"spark.eventLog.{key}": value for key, value in log.items()} | {"spark.driver.maxResultSize": "64m"}
    settings |= {
        "data": {"root": str(data)},
        "lake": {"root": str(lake)},
        "spark": {
            "master": arguments.master,
            "driver_memory": arguments.memory,
            "shuffle_partitions": arguments.shuffle_partitions,
            "conf": conf,
        },
    }
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


def growth(seconds: dict[tuple[str, int], float], sizes: list[int]) -> dict[str, float]:
    """Time at the largest size over time at the one before it; the name says which."""
    if len(sizes) < 2:
        return {}
    less, more = sizes[-2:]
    ratios = {f"_{stage}": seconds[stage, more] / seconds[stage, less] for stage in STAGES}
    ratios[""] = sum(seconds[s, more] for s in STAGES) / sum(seconds[s, less] for s in STAGES)
    return {f"growth_{short(less)}_to_{short(more)}{stage}": round(ratio, 2) for stage, ratio in ratios.items()}


def race(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Clean of events against others, on one file set, one after the other; a process for Spark, one for each peer."""
    data = folder / f"data-{short(arguments.race_rows)}"
    if not data.exists():
        sample(arguments.race_rows, data)
    found: dict[str, float] = {}
    script = [
        sys.executable,
        str(ROOT / "bench" / "spark_race.py"),
        "--data",
        str(data),
        "--lake",
        str(folder / "race"),
    ]
    found |= said([*script, "--rounds", str(arguments.rounds), "--memory", arguments.memory])
    if python := peers_python():
        for peer in PEERS:
            found |= said([python, str(ROOT / "bench" / "peers.py"), peer, str(data / "events"), str(folder / "peer")])
    return found


def peers_python() -> str | None:
    """An environment of its own with the peers, or None with the reason printed."""
    python = ROOT / "build" / "peers" / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"{' and '.join(PEERS)} are left out: {reason}")
        return None
    return str(python)


def said(command: list[str]) -> dict[str, float]:
    """Run a script that prints `NAME VALUE` lines last."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:3])} ended with exit code {done.returncode}")
    pairs = (
        line.removeprefix("measured ").split() for line in done.stdout.splitlines() if line.startswith("measured ")
    )
    return {name: float(value) for name, value in pairs}


def run(arguments: list[str], figures: dict[str, float] | None = None, peak_name: str = "") -> None:
    """A command of `tandemrec`; one that fails ends the benchmark."""
    code, peak = run_measured([sys.executable, "-m", "tandemrec", *arguments], cwd=ROOT)
    if code != 0:
        raise SystemExit(f"{arguments[0]} ended with exit code {code}")
    if figures is not None:
        figures[peak_name] = round(peak)


def short(rows: int) -> str:
    """5m for 5,000,000; 300k for 300,000."""
    return f"{rows // 10**6}m" if rows >= 10**6 else f"{rows // 1000}k"


if __name__ == "__main__":
    sys.exit(main())
