"""A small table whose labels follow a known rule: what its own probabilities score is the bound of any model."""

import json

import numpy as np
import pandas as pd

from tandemrec.config import parse_settings

ROWS = 3000
LEVELS = {"low": -2.0, "middle": 0.0, "high": 1.0}


def table(seed: int = 5, rows: int = ROWS) -> pd.DataFrame:
    """Columns job, colour (noise), age, gain, rich (yes, no), bought (0, 1) and p_rich, p_bought, the truth.

    `rich` follows the level of the job and a bend in age, `bought` the job and whether gain is known.
    """
    draw = np.random.default_rng(seed)
    job, colour = draw.choice(list(LEVELS), rows), draw.choice(["red", "green"], rows)
    age, gain = draw.integers(18, 90, rows), np.where(draw.random(rows) < 0.3, np.nan, draw.gamma(2.0, 50.0, rows))
    level = pd.Series(job).map(LEVELS).to_numpy()
    p_rich = _sigmoid(level + 3.0 - 0.2 * np.abs(age - 45))
    p_bought = _sigmoid(1.5 * level + 2.0 * np.isnan(gain) - 0.5)
    return pd.DataFrame(
        {
            "job": job,
            "colour": colour,
            "age": age,
            "gain": gain,
            "rich": np.where(draw.random(rows) < p_rich, "yes", "no"),
            "bought": (draw.random(rows) < p_bought).astype(int),
            "p_rich": p_rich,
            "p_bought": p_bought,
        }
    )


def settings_of(root, lake_root, **changes):
    """Settings of a lake over FOLDER/people.csv. `changes` are sections that take the place of those here."""
    sections = {
        "data": {"root": str(root)},
        "lake": {"root": str(lake_root)},
        "report": {"path": f"{root}/report/index.html"},
        "sources": [{"name": "people", "table": "rows", "kind": "tabular", "path": "people.csv"}],
        "tabular": {
            "categorical": ["job", "colour"],
            "numeric": ["age", "gain"],
            "labels": {"rich": {"column": "rich", "equals": "yes"}, "bought": {"column": "bought"}},
        },
        "examples": {"split": "random", "valid_share": 0.2, "test_share": 0.2},
        "tasks": [{"name": name, "kind": "binary", "reads": ["row"]} for name in ("rich", "bought")],
        "model": {"history": "none", "width": 16, "tower": [16], "experts": 2, "rows": {"bins": 16, "width": 4}},
        "train": {"stop_on": "rich/auc", "max_epochs": 4, "batch_size": 64, "learning_rate": 0.01},
        "evaluate": {"resamples": 20},
    }
    return parse_settings(json.loads(json.dumps(sections | changes)))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
