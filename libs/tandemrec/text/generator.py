"""A decoder that writes on: prompts in, one text each out, always the same (greedy)."""

import os
from collections.abc import Sequence
from typing import Any

import torch

from tandemrec.errors import ModelError
from tandemrec.text.identity import Device, weight_files
from tandemrec.text.sources import model_folder, needs_network


class Generator:
    """A decoder in memory and ready.

    Raises:
        ModelError: the weights are not there, or the model does not generate.
    """

    def __init__(self, model: str, *, max_tokens: int, device: Device = "cpu") -> None:
        if not needs_network(model):
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model, self.max_tokens, self.device = model, max_tokens, device
        self._tokenizer, self._model = self._load(transformers, model)
        self._room = int(getattr(self._model.config, "max_position_embeddings", 2**30)) - max_tokens
        if self._room < 1:
            raise ModelError(
                f"summary.max_tokens is {max_tokens}, expected fewer than the {self._room + max_tokens} positions "
                f"that {model} has"
            )

    def write(self, prompt: str) -> str:
        """What the model goes on with, `max_tokens` at most, in one line; a prompt that leaves no room loses its end.

        A model of chats gets the prompt as a user's turn. One prompt at a time: padding would change what is written.
        """
        if self._tokenizer.chat_template:
            turn = [{"role": "user", "content": prompt}]
            prompt = self._tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        asked = self._tokenizer(
            prompt,
            return_tensors="pt",
            truncation=True,
            max_length=self._room,
            add_special_tokens=not self._tokenizer.chat_template,
        )
        ids = asked["input_ids"].to(self.device)
        with torch.inference_mode():
            answer = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self.max_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
        said: str = self._tokenizer.decode(answer[0, ids.shape[1] :], skip_special_tokens=True)
        return " ".join(said.split())

    def _load(self, transformers: Any, model: str) -> tuple[Any, Any]:
        folder = model_folder(model)
        weight_files(folder)
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
            found, told = transformers.AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
            )
        except Exception as error:
            raise ModelError(f"generator {model} in {folder}: {' '.join(str(error).split())}") from error
        if missing := sorted(told["missing_keys"]):
            raise ModelError(f"generator {model} has no weights for {missing}, expected a decoder that can write")
        return tokenizer, found.eval().to(self.device)


def filled(template: str, *, keywords: Sequence[str], reviews: Sequence[str], language: str) -> str:
    """The prompt of a template. What users wrote is put in as it is: braces in it stand for nothing."""
    return template.format(
        keywords=", ".join(keywords), reviews="\n".join(f"- {review}" for review in reviews), language=language
    )
