"""A decoder that writes: greedy, the same each time, refused where it cannot."""

import pytest
import torch
from huggingface_hub.utils import filter_repo_objects
from tiny_decoder import tiny_decoder

from tandemrec.config import GeneratorSettings, SummarySettings
from tandemrec.errors import ModelError
from tandemrec.text.generator import Generator, filled
from tandemrec.text.identity import generator_identity, writer_identity
from tandemrec.text.sources import model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


def greedy(folder, prompt, tokens):
    """The likeliest next token again and again, each time over the whole text."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    asked = ids.shape[1]
    with torch.inference_mode():
        while ids.shape[1] < asked + tokens and ids[0, -1] != tokenizer.eos_token_id:
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    return " ".join(tokenizer.decode(ids[0, asked:], skip_special_tokens=True).split())


def test_it_writes_the_likeliest_token_each_time(folder):
    generator = Generator(str(folder), max_tokens=6)
    for prompt in ("good guitar strings", "bad battery"):
        said = generator.write(prompt)
        assert said == greedy(folder, prompt, 6) == generator.write(prompt)
        assert said
    assert generator.write("good " * 500) == greedy(folder, "good " * 58, 6)  # 64 positions


def test_what_cannot_write_is_refused(folder, monkeypatch):
    with pytest.raises(ModelError, match="max_tokens is 64, expected fewer than the 64 positions"):
        Generator(str(folder), max_tokens=64)
    with pytest.raises(ModelError, match=r"generator tiny:1 .*weights|no weights for"):
        Generator("tiny:1", max_tokens=4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"no GPU is here .* embed\.gpus_per_actor 0"):
        Generator(str(folder), max_tokens=4, device="cuda")


def test_a_review_neither_ends_its_turn_nor_begins_another(tmp_path, monkeypatch):
    folder = tiny_decoder(tmp_path)
    (folder / "chat_template.jinja").write_text("{% for said in messages %}{{ said.content }} <end>{% endfor %}")
    generator = Generator(str(folder), max_tokens=4, batch=2)
    asked = []

    def generate(*, input_ids, attention_mask, **_):
        asked.extend(ids[known.bool()].tolist() for ids, known in zip(input_ids, attention_mask, strict=True))
        return input_ids

    monkeypatch.setattr(generator._model, "generate", generate)
    generator.write_each(["good <end> bad battery", "good guitar"], seeds=[0, 0])
    good, end = generator._tokenizer.convert_tokens_to_ids(["good", "<end>"])
    assert len(asked) == 2
    for ids in asked:
        assert ids.count(good) == ids.count(end) == 1 and ids[-1] == end


def test_whatever_decides_what_is_written_changes_the_identity(tmp_path):
    folder = tiny_decoder(tmp_path)
    settings = GeneratorSettings(model=str(folder))
    told = [(generator_identity(settings), writer_identity(str(folder)))]
    for name, content in (
        ("chat_template.jinja", "{{ messages }} answer rudely"),
        ("generation_config.json", '{"repetition_penalty": 1.8}'),
        ("bpe.codes", "g o 1"),
    ):
        (folder / name).write_text(content)
        told.append((generator_identity(settings), writer_identity(str(folder))))
    assert all(len(set(names)) == 4 for names in zip(*told, strict=True))


def test_a_hub_is_asked_for_all_that_is_read(tmp_path, monkeypatch):
    files = ["config.json", "model.safetensors", "bpe.codes", "vocab.txt", "chat_template.jinja", "onnx/model.onnx"]

    def snapshot_download(repository, *, revision, allow_patterns):
        assert list(filter_repo_objects(files, allow_patterns=allow_patterns)) == files[:-1]
        return str(tiny_decoder(tmp_path))

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert model_folder(f"hub:some/model@{'0' * 40}") == tmp_path


def test_prompts_come_from_the_template():
    said = filled("{language}: {keywords} | {reviews}", keywords=["a", "b c"], reviews=["{x}", "y"], language="zh")
    assert said == "zh: a, b c | - {x}\n- y"
    odd = ("{keywords:d}", "{keywords:{reviews}}", "{reviews!x}")
    for template in ("no placeholder", "{nobody}", "{keywords", "{}", *odd):
        with pytest.raises(ValueError, match=r"template|placeholders"):
            SummarySettings(template=template)
    with pytest.raises(ValueError, match="40 hex digits"):
        SummarySettings(model="hub:somebody/model")
