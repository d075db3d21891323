import json
from pathlib import Path

import pytest
from small_lake import small_lake

from ray_train import train
from tandemrec.config import Settings, parse_settings

pytestmark = pytest.mark.usefixtures("ray_local")


def settings_for(root: Path, **changes) -> Settings:
    settings = {
        "data": {"root": str(root)},
        "lake": {"root": str(root)},
        "sources": [
            {"name": "events", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
        ],
        "model": {"width": 8, "tower": [8], "experts": 2, "dropout": 0.0, "id_dropout": 0.0},
        "train": {"batch_size": 64, "max_epochs": 3, "learning_rate": 0.01, "threads_per_worker": 1},
    }
    for section, values in changes.items():
        settings[section] = {**settings[section], **values}
    return parse_settings(settings)


def curve(figures) -> list[dict]:
    return [{key: entry[key] for key in ("epoch", "losses", "valid")} for entry in figures["curve"]]


def test_the_stage(tmp_path):
    small_lake(tmp_path)
    settings = settings_for(tmp_path)
    figures = train.run(settings)
    json.dumps(figures, allow_nan=False)
    print(figures)
