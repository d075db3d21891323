"""Models and unfinished trainings as files: safetensors for tensors, JSON for the rest. Nothing in them can run.

A folder is written beside its place and renamed: it is there whole or not at all.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from tandemrec.config import ModelSettings, Task
from tandemrec.errors import ModelError
from tandemrec.lake.store import address
from tandemrec.learn.loop import Progress, Training
from tandemrec.model.batch import Sizes
from tandemrec.model.multitask import MultiTaskModel

MODEL, MODEL_JSON = "model.safetensors", "model.json"
BEST, AVERAGE, OPTIMIZER, BALANCE, STATE_JSON = (
    "best.safetensors",
    "average.safetensors",
    "optimizer.safetensors",
    "balance.safetensors",
    "state.json",
)
_LATER = ("text.mean", "text.scale")  # what models of before lack; as built, they change nothing
_OWN_OF_USERS = ("user.id.own.weight", "user_bias")  # tensors with a row for each user


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Where a model comes from: what must be read to use it, and what it was worth on the validation split."""

    run_id: str
    encoder: str | None  # identity of the text encoder; None: reads no text
    versions: dict[str, int]  # of the tables it was trained on
    epoch: int  # the best, from 1
    metrics: dict[str, float]  # of the validation split at that epoch, by TASK/METRIC
    cut: str | None = None  # Cut.name of the encoder whose last layers it learned; None: of none, or a model of before
    refit: bool = False  # whether it then learned from training and validation rows together


def models_folder(lake_root: str, run_id: str) -> str:
    """Where the checkpoints of a training run lie, and the best model in best/ below it."""
    return f"{lake_root}/models/{run_id}"


def save_model(folder: Path, model: MultiTaskModel, metadata: Metadata) -> None:
    """Write weights and what is needed to build the model around them."""
    described = {
        "model": model.settings.model_dump(mode="json"),
        "tasks": [task.model_dump(mode="json") for task in model.tasks],
        "sizes": asdict(model.sizes),
        "metadata": asdict(metadata),
    }
    with _written_whole(folder) as working:
        save_file(_contiguous(model.state_dict()), working / MODEL)
        _write_json(working / MODEL_JSON, described)


def load_model(folder: Path | str) -> tuple[MultiTaskModel, Metadata]:
    """The model in evaluation mode, and where it comes from.

    Args:
        folder: of `save_model`; a path or the URL of an object store.

    Raises:
        ModelError: a file is missing or is not of this model.
    """
    if "://" in str(folder):
        with tempfile.TemporaryDirectory() as local:
            fs.copy_files(str(folder), local)
            return load_model(local)
    folder = Path(folder)
    described = _read_json(folder / MODEL_JSON)
    try:
        model = MultiTaskModel(
            ModelSettings(**{"neighbours": 0, **described["model"]}),  # models of before have none
            [Task(**task) for task in described["tasks"]],
            Sizes(**described["sizes"]),
        )
        metadata = Metadata(**described["metadata"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MODEL_JSON}: {' '.join(str(error).split())}") from error
    _load_state(model, folder / MODEL)
    return model.eval(), metadata


def save_checkpoint(folder: Path, training: Training) -> None:
    """Write all that `restore_checkpoint` needs to go on as if nothing had happened."""
    with _written_whole(folder) as working:
        save_file(_contiguous(training.model.state_dict()), working / MODEL)
        save_file(_contiguous(training.best), working / BEST)
        if training.average is not None:
            save_file(_contiguous(training.average.state_dict()), working / AVERAGE)
        save_file(_optimizer_tensors(training.optimizer), working / OPTIMIZER)
        save_file(_contiguous(training.balancer.state_dict()), working / BALANCE)
        _write_json(working / STATE_JSON, asdict(training.progress))


def restore_checkpoint(folder: Path, training: Training) -> None:
    """Bring a fresh training to where it stood.

    Raises:
        ModelError: a file is missing or is not of this model.
    """
    training.progress = Progress(**_read_json(folder / STATE_JSON))
    _load_state(training.model, folder / MODEL)
    _load_state(training.balancer, folder / BALANCE)
    if training.average is not None:
        _load_state(training.average, folder / AVERAGE)
    training.best = load_file(folder / BEST)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / OPTIMIZER).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    groups = training.optimizer.state_dict()["param_groups"]
    if list(training.balancer.parameters()):  # the last group is theirs
        _one_variance_each(state, groups[-1]["params"])
    training.optimizer.load_state_dict({"state": state, "param_groups": groups})


def load_best(folder: Path, model: MultiTaskModel) -> Progress:
    """Put the best weights of a checkpoint into the model; how training went."""
    _load_state(model, folder / BEST)
    return Progress(**_read_json(folder / STATE_JSON))


def forget_user(lake_root: str, index: int) -> list[str]:
    """Zero what models learned of one user for that user alone, and remove unfinished and older checkpoints: the
    versions of tables on which they could go on are gone.

    What a user's rows taught the weights that all users share stays in them until the model is trained anew.

    Returns:
        The run_id of every model that knew the user.
    """
    files, root = fs.FileSystem.from_uri(address(f"{lake_root}/models"))
    known = []
    for run in files.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if run.type != fs.FileType.Directory:
            continue
        for inside in files.get_file_info(fs.FileSelector(run.path)):
            if inside.type == fs.FileType.Directory and inside.base_name != "best":
                files.delete_dir(inside.path)
        path = f"{run.path}/best/{MODEL}"
        if files.get_file_info(path).type == fs.FileType.NotFound:
            continue
        with files.open_input_file(path) as opened:
            tensors = load(opened.read())
        own = [t for name, t in tensors.items() if name.endswith(_OWN_OF_USERS) and index < len(t)]
        if not own:
            continue
        known.append(run.base_name)
        for tensor in own:
            tensor[index] = 0
        with files.open_output_stream(f"{path}.part") as out:
            out.write(save(tensors))
        files.move(f"{path}.part", path)
    return known


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return _contiguous({f"{number}.{key}": tensor for number, held in state.items() for key, tensor in held.items()})


def _one_variance_each(state: dict[int, dict[str, Tensor]], numbers: Sequence[int]) -> None:
    """Checkpoints of before hold the variances of all tasks as one parameter, the first of these numbers."""
    whole = state.get(numbers[0], {})
    if any(tensor.dim() for tensor in whole.values()):
        for place, number in enumerate(numbers):
            state[number] = {key: (tensor[place] if tensor.dim() else tensor).clone() for key, tensor in whole.items()}


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _load_state(model: torch.nn.Module, path: Path) -> None:
    built = model.state_dict()
    try:
        model.load_state_dict({name: built[name] for name in _LATER if name in built} | load_file(path))
    except Exception as error:  # safetensors and torch have no common error
        raise ModelError(f"{path}: does not fit the model: {' '.join(str(error).split())[:300]}") from error


@contextmanager
def _written_whole(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield working
        shutil.rmtree(folder, ignore_errors=True)
        working.rename(folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: is no JSON: {error}") from error
    return content
