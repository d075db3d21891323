"""A decoder that writes: prompts in, texts out, the same ones for the same prompts, settings and seed."""

import os
from collections.abc import Sequence

import torch

from tandemrec.config import GeneratorSettings
from tandemrec.errors import ModelError
from tandemrec.text.identity import Device, generator_identity
from tandemrec.text.sources import model_folder, needs_network

PROMPT_TOKENS = 512  # of a prompt that are read, the last ones: what is to be written follows them


class Generator:
    """A GPT-type model of one setting, in memory and ready.

    Attributes:
        identity: of `text.identity.generator_identity`.

    Raises:
        ModelError: the weights are not there, no safetensors, or not those of a decoder.
    """

    def __init__(self, settings: GeneratorSettings, *, device: Device = "cpu") -> None:
        if not needs_network(settings.model):
            os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.settings, self.device = settings, device
        folder, local = model_folder(settings.model), {"local_files_only": True, "trust_remote_code": False}
        self.identity = generator_identity(settings)
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", **local)
            self._model = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **local)
        except Exception as error:
            raise ModelError(f"generator {settings.model} in {folder}: {' '.join(str(error).split())}") from error
        self._tokenizer.truncation_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model.eval().to(device)

    def write(self, prompts: Sequence[str], *, seed: int) -> list[str]:
        """What follows each prompt, up to the model's end of text or `max_tokens`; batches in order of length."""
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        written = [""] * len(prompts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(order), self.settings.batch):
                places = order[start : start + self.settings.batch]
                for place, text in zip(places, self._batch([prompts[place] for place in places]), strict=True):
                    written[place] = text
        return written

    def _batch(self, prompts: list[str]) -> list[str]:
        asked = [self._as_chat(prompt) for prompt in prompts]
        room = getattr(self._model.config, "max_position_embeddings", None)
        longest = PROMPT_TOKENS if room is None else min(PROMPT_TOKENS, max(1, room - self.settings.max_tokens))
        read = self._tokenizer(asked, return_tensors="pt", padding=True, truncation=True, max_length=longest)
        ids = read["input_ids"].to(self.device)
        sampled = {"temperature": self.settings.temperature, "top_p": self.settings.top_p, "top_k": 0}
        with torch.inference_mode():
            found = self._model.generate(
                ids,
                attention_mask=read["attention_mask"].to(self.device),
                max_new_tokens=self.settings.max_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                do_sample=self.settings.temperature > 0,
                **(sampled if self.settings.temperature > 0 else {}),
            )
        texts: list[str] = self._tokenizer.batch_decode(found[:, ids.shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _as_chat(self, prompt: str) -> str:
        """As a model that was taught to follow instructions expects them."""
        if self._tokenizer.chat_template is None:
            return prompt
        message = [{"role": "user", "content": prompt}]
        asked: str = self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return asked
