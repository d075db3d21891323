"""Seconds and peak memory of each stage of `make demo`, every stage a process of its own on a fresh lake."""

import argparse
import sys
import tempfile
import time

from figures import ROOT, publish
from process_tree import run_measured

from tandemrec.pipeline import STAGES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="conf/local.yaml", metavar="FILE")
    parser.add_argument("--data", metavar="DIR", help="raw sample; default: a new one of the default size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tandemrec-bench-") as folder:
        figures: dict[str, float] = {}
        data = arguments.data or f"{folder}/data"
        if arguments.data is None:
            measure("sample", ["sample", "--out", data], figures)
        where = {"data.root": data, "lake.root": f"{folder}/lake", "report.path": f"{folder}/report/index.html"}
        overrides = [part for key, value in where.items() for part in ("--set", f"{key}={value}")]
        for stage in STAGES:
            measure(stage.name, [stage.name, "--config", arguments.config, *overrides], figures)
    stages = [name for name in figures if name.endswith("_seconds")]
    figures["demo_total_seconds"] = round(sum(figures[name] for name in stages), 1)
    figures["demo_peak_mb"] = max(value for name, value in figures.items() if name.endswith("_mb"))
    publish("demo", figures)
    return 0


def measure(name: str, arguments: list[str], figures: dict[str, float]) -> None:
    """Run one command of `tandemrec` and note what it took; a command that fails ends the benchmark."""
    started = time.monotonic()
    code, peak = run_measured([sys.executable, "-m", "tandemrec", *arguments], cwd=ROOT)
    if code != 0:
        raise SystemExit(f"{name} ended with exit code {code}")
    figures[f"demo_{name}_seconds"] = round(time.monotonic() - started, 1)
    figures[f"demo_{name}_peak_mb"] = round(peak)


if __name__ == "__main__":
    sys.exit(main())
