"""GGUF files as models: a small decoder written as llama.cpp would have it, read as an encoder and to write on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tandemrec.config import EncoderSettings
from tandemrec.text.encoder import Encoder
from tandemrec.text.generator import Generator

WIDTH, HEADS, LAYERS, WORDS = 32, 4, 2, 64
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def saved(path: Path, *, tied: bool) -> torch.nn.Module:
    """A Llama of random weights in the file; `tied`: what tells the next token is the table of tokens."""
    import transformers

    gguf = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": LAYERS, "vocab_size": WORDS}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "max_position_embeddings": 128}
    config = transformers.LlamaConfig(**sizes, **heads, tie_word_embeddings=tied, initializer_range=0.3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.LlamaForCausalLM(config).eval()
    tokens = ["<unk>", "<s>", "</s>", "\u2581", *(f"\u2581{letter}" for letter in "abcdefgh"), *"abcdefgh"]
    tokens += [f"<{number}>" for number in range(WORDS - len(tokens))]
    out = gguf.GGUFWriter(str(path), "llama")
    for put, value in (
        (out.add_context_length, 128),
        (out.add_embedding_length, WIDTH),
        (out.add_block_count, LAYERS),
        (out.add_feed_forward_length, 64),
        (out.add_head_count, HEADS),
        (out.add_head_count_kv, HEADS),
        (out.add_layer_norm_rms_eps, config.rms_norm_eps),
        (out.add_rope_dimension_count, WIDTH // HEADS),
        (out.add_rope_freq_base, 10_000.0),
        (out.add_vocab_size, WORDS),
        (out.add_tokenizer_model, "llama"),
        (out.add_token_list, tokens),
        (out.add_token_scores, [-float(number) for number in range(WORDS)]),
        (out.add_token_types, [2, 3, 3, *[1] * (WORDS - 3)]),
        (out.add_bos_token_id, 1),
        (out.add_eos_token_id, 2),
        (out.add_unk_token_id, 0),
    ):
        put(value)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    out.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    out.add_tensor("output_norm.weight", weights["model.norm.weight"])
    if not tied:
        out.add_tensor("output.weight", weights["lm_head.weight"])
    for layer in range(LAYERS):
        for name, theirs in NAMES.items():
            values = weights[f"model.layers.{layer}.{theirs}.weight"]
            if name in ("attn_q", "attn_k"):  # llama.cpp turns pairs of neighbours, transformers halves of a head
                values = values.reshape(HEADS, 2, -1, WIDTH).swapaxes(1, 2).reshape(values.shape)
            out.add_tensor(f"blk.{layer}.{name}.weight", np.ascontiguousarray(values))
    for write in (out.write_header_to_file, out.write_kv_data_to_file, out.write_tensors_to_file, out.close):
        write()
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_a_file_is_read_as_an_encoder_and_to_write_on(tied, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "weights.gguf"
    model = saved(file, tied=tied)
    generator = Generator(str(file), max_tokens=6)
    ids = generator._tokenizer("a b c", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        torch.testing.assert_close(generator._model(ids).logits, model(ids).logits)
        last = model.model(ids).last_hidden_state[0, -1]
    vector = Encoder(EncoderSettings(model=str(file), pooling="last", dtype="float32", max_length=64)).encode(["a b c"])
    assert vector[0] @ (last / last.norm()).numpy() > 0.9999
