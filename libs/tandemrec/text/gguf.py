"""GGUF files, which llama.cpp reads, as model folders: transformers takes the numbers out of their quantised blocks."""

from pathlib import Path

from tandemrec.errors import MissingDependencyError, ModelError
from tandemrec.text.made import file_digest, made_folder


def gguf_folder(file: Path) -> Path:
    """The folder of the model in a GGUF file: float32 safetensors, made at the first call.

    Raises:
        MissingDependencyError: a library that reads the format is not installed.
        ModelError: transformers does not read this file.
    """
    return made_folder(f"gguf-{file_digest(file).hex()[:16]}", lambda folder: _save(file, folder))


def _save(file: Path, folder: Path) -> None:
    import torch
    import transformers

    local = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, **local)
        config = transformers.AutoConfig.from_pretrained(file.parent, **local)
        writes = not config.tie_word_embeddings and type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        kind = transformers.AutoModelForCausalLM if writes else transformers.AutoModel  # with its last layer
        read = kind.from_pretrained(file.parent, dtype=torch.float32, **local)
    except ImportError as error:
        raise _lacking(file) from error
    except Exception as error:
        if "accelerate is required" in str(error):
            raise _lacking(file) from error
        raise ModelError(f"encoder {file} cannot be read: {' '.join(str(error).split())}") from error
    del read.config.quantization_config  # what is saved is not quantised
    model = kind.from_config(read.config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _lacking(file: Path) -> MissingDependencyError:
    return MissingDependencyError(
        f"encoder {file} needs the Python packages gguf and accelerate, expected both installed: the extra `encoders` "
        "brings them"
    )
