"""Stages as a user runs them, in a process of their own: what is killed, or needs a heap that is not the tests'."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT / 'libs'}:{ROOT}"}


def start(stage: str, config: Path) -> subprocess.Popen:
    """A stage as a process group of its own; it prints to `output_of` it."""
    command = [sys.executable, "-m", "tandemrec", stage, "--config", str(config)]
    with output_of(stage, config).open("w") as output:
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=output, stderr=output, start_new_session=True
        )


def output_of(stage: str, config: Path) -> Path:
    return config.with_suffix(f".{stage}.txt")
