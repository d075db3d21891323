"""Does model.interest help? The model of the settings with and without it, on the same rows, seed by seed.

    python bench/interest.py --config conf/local.yaml --seeds 3 [--set model.text=false]

Reads a lake on which all stages up to profiles have run (embed only where something reads vectors). In this process,
without Ray. Prints metrics of the test split as means over the seeds, the mean of the differences and its standard
error.
"""

import argparse
import time

import numpy as np
import torch

from ray_train.train import encoder_of
from tandemrec.config import InterestSettings, Settings, load_settings
from tandemrec.lake import Lake
from tandemrec.learn.features import load_features, sizes_of
from tandemrec.learn.feeds import load_examples
from tandemrec.learn.loop import Data, fit
from tandemrec.learn.validation import validate
from tandemrec.model import MultiTaskModel

SHOWN = ("ndcg@10", "auc", "rmse", "f1")


def trained(settings: Settings, lake: Lake, seed: int) -> dict[str, float]:
    """Metrics of the test split, of the epoch that was best on validation."""
    splits, encoder = load_examples(lake), encoder_of(lake, settings)
    words, interest = settings.model.words_of(settings.tasks), settings.model.interest is not None
    features = load_features(lake, encoder=encoder, words=words, terms=interest)
    torch.manual_seed(seed)
    model = MultiTaskModel(settings.model, settings.tasks, sizes_of(lake, features, splits, settings.tasks))
    started = time.monotonic()
    progress = fit(
        model, Data(features=features, train=splits["train"], valid=splits["valid"]), settings.train, seed=seed
    )
    found = validate(model, splits["test"], features, settings.train.stop_on)
    seconds = (time.monotonic() - started) / progress.epoch
    shown = {name: value for name, value in found.items() if name.partition("/")[2] in SHOWN}
    told = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
    which = "with" if interest else "without"
    print(f"  seed {seed} {which:7} best epoch {progress.best_epoch}, {seconds:.1f} s an epoch: {told}", flush=True)
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--half-life", type=float, default=InterestSettings().half_life, help="reviews")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = load_settings(arguments.config, arguments.set)
    lake, found = Lake.of(settings.lake), {}
    for seed in range(1, arguments.seeds + 1):
        for interest in (None, InterestSettings(half_life=arguments.half_life)):
            model = settings.model.model_copy(update={"interest": interest})
            told = trained(settings.model_copy(update={"model": model}), lake, seed)
            for name, value in told.items():
                found.setdefault(name, {}).setdefault(interest is not None, []).append(value)
    for name, values in found.items():
        without, within = (np.array(values[which]) for which in (False, True))
        gained = within - without
        error = gained.std(ddof=1) / len(gained) ** 0.5 if len(gained) > 1 else float("nan")
        print(f"{name:24} without {without.mean():.4f}  with {within.mean():.4f}  {gained.mean():+.4f} +- {error:.4f}")


if __name__ == "__main__":
    main()
