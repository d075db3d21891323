"""Texts made from training reviews: how, which pass, where they go, and that nothing else is touched by them."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_lake import small_lake

from jobs import augment
from tandemrec.augment import Probes, Sources, synthesise, training_reviews
from tandemrec.augment.crop import clauses
from tandemrec.config import GeneratorSettings, WordSettings, parse_settings
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import load_examples
from tandemrec.learn.features import load_features
from tandemrec.learn.reviews import review_words
from tandemrec.pipeline import run_stage, stage
from tandemrec.text.encoder import Encoder
from tandemrec.text.generator import Generator
from tandemrec.text.identity import generator_identity
from tandemrec.text.words import words_of

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}


class TestSynthesis:
    SOURCES = Sources(
        ids=[*"abcdef"],
        texts=[*"abcdef"],
        vectors=np.vstack([np.eye(3), -np.eye(3)]),  # nothing in common
        labels={"sentiment": np.array([0.0, 1, 1, 1, 0, 0])},
    )
    VECTORS = {"A": [1, 0.5, 0], "B": [0, 0, 1], "a": [1, 0, 0], "bb": [0, 1, 0.5], "cc": [0.1, 0, 1]}  # noqa: RUF012

    def made(self, methods, common=0.0, told=None, **settings):
        return synthesise(
            replace(self.SOURCES, vectors=self.SOURCES.vectors + common),
            range(3),
            methods,
            lambda texts: np.array([self.VECTORS[text] for text in texts], float) + common,
            Probes(self.SOURCES.vectors, {}, seed=0),
            set() if told is None else told,
            **{"variants": 1, "similarity": (0.5, 0.99), **settings},
        )

    @pytest.mark.parametrize("common", [0.0, np.array([30.0, -40, 7])])
    def test_what_one_method_cannot_the_next_one_does(self, common):
        answers = {"first": {"a": "A", "b": "B", "c": None}, "second": {"b": "bb", "c": "cc"}}
        methods = {name: lambda texts, _, own=own: [own[text] for text in texts] for name, own in answers.items()}
        made = self.made(methods, common)
        assert list(zip(made.source, made.method, made.text, strict=True)) == [(0, "first", "A"), (1, "second", "bb")]
        assert made.similarity == pytest.approx([1 / 1.25**0.5] * 2)
        assert made.rejected["first"] == {"none": 1, "similarity": 1}
        assert {name: count for name, count in made.rejected["second"].items() if count} == {"similarity": 1}

    def test_a_text_that_says_something_else_is_left_to_the_next_method(self):
        """Of two clusters: the first method's texts lie in the other one, which the cosine alone does not tell."""
        label = np.repeat([0.0, 1.0], 10)
        around = np.tile(np.arange(10), 2) * np.pi / 5
        vectors = np.stack([np.cos(around), np.sin(around), label - 0.5], axis=1)
        names = [f"{number}" for number in range(20)]
        sources = Sources(ids=names, texts=names, vectors=vectors, labels={"sentiment": label})
        others = {f"{name} turned": row * [1, 1, -1] for name, row in zip(names, vectors, strict=True)}
        others |= {f"{name} anew": row * [1, 1, 0.9] for name, row in zip(names, vectors, strict=True)}
        made = synthesise(
            sources,
            range(20),
            {end: lambda texts, _, end=end: [f"{text} {end}" for text in texts] for end in ("turned", "anew")},
            lambda texts: np.array([others[text] for text in texts]),
            Probes(vectors, sources.labels, seed=0),
            set(),
            variants=1,
            similarity=(0.5, 0.9999),
        )
        assert made.rejected["turned"] == {"none": 0, "label": 20} and made.method == ["anew"] * 20

    def test_no_text_twice_and_none_that_a_review_has(self):
        made = self.made({"m": lambda texts, _: ["A" if t == "a" else None for t in texts]}, variants=2)
        assert made.text == ["A"] and made.rejected["m"]["repeated"] == 1
        own = self.made({"m": lambda texts, _: ["a" if t == "a" else None for t in texts]}, similarity=(0.5, 1.0))
        assert own.text == [] and own.rejected["m"]["repeated"] == 1
        told: set[str] = set()
        methods = {"m": lambda texts, _: ["A" if t == "a" else None for t in texts]}
        assert [self.made(methods, told=told).text for _ in range(2)] == [["A"], []] and len(told) == 1


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> str:
    """A random GPT-2 and its tokeniser."""
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp("models") / "gpt2"
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["good and bad, thin or thick"], vocab_size=300, special_tokens=["<end>"])
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, eos_token="<end>").save_pretrained(
        folder
    )
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 64, "initializer_range": 0.4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.GPT2Config(
            vocab_size=tokenizer.get_vocab_size(), bos_token_id=0, eos_token_id=0, pad_token_id=0, **sizes
        )
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


class TestGenerator:
    PROMPTS = ("good", "bad, thin", "good and bad, thin or thick " * 9, "thick")

    def test_the_same_seed_writes_the_same_and_another_does_not(self, writer):
        generator = Generator(writer, max_tokens=8, temperature=1.0, batch=2)
        drawn = torch.random.get_rng_state()
        one, same, other = (generator.write_each(self.PROMPTS, seeds=[seed] * 4) for seed in (1, 1, 2))
        assert one == same != other and len(one) == 4 and any(one)
        assert torch.equal(torch.random.get_rng_state(), drawn)

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_text_does_not_depend_on_the_company(self, writer, temperature):
        how = {"max_tokens": 8, "temperature": temperature, "top_p": 0.9}
        together = Generator(writer, batch=4, **how).write_each(self.PROMPTS, seeds=[1, 2, 3, 4])
        alone = Generator(writer, **how)
        numbered = enumerate(self.PROMPTS, 1)
        assert [alone.write_each([prompt], seeds=[seed])[0] for seed, prompt in numbered] == together

    def test_tokens_are_drawn_as_often_as_the_model_says(self, writer):
        """The first token of 2,000 draws against the softmax over what top_p leaves."""
        generator = Generator(writer, max_tokens=1, temperature=0.5, top_p=0.8, batch=500)
        ids = generator._tokenizer("good", return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            likely = (generator._model(ids).logits[0, -1] / 0.5).softmax(-1)
        share, token = likely.sort(descending=True)
        left = int((share.cumsum(0) < 0.8).sum()) + 1
        expected = Counter()
        for number, probability in zip(
            token[:left].tolist(), (share[:left] / share[:left].sum()).tolist(), strict=True
        ):
            expected[" ".join(generator._tokenizer.decode([number], skip_special_tokens=True).split())] += probability
        drawn = Counter(generator.write_each(["good"] * 2000, seeds=range(2000)))
        assert set(drawn) <= set(expected)
        assert all(drawn[text] / 2000 == pytest.approx(expected[text], abs=0.05) for text in expected)

    def test_what_cannot_write_is_refused(self, writer):
        with pytest.raises(ModelError, match="max_tokens is 64, expected fewer than the 64 positions"):
            Generator(writer, max_tokens=64)
        with pytest.raises(ModelError, match="expected a decoder that can write"):
            Generator("tiny:0", max_tokens=8)


def settings_of(root, **augmenting):
    return parse_settings(
        {"data": {"root": "in"}, "lake": {"root": str(root)}, "sources": [PAIRS]}
        | {"embed": {"encoder": {"model": "tiny:0"}}, "augment": augmenting or None}
    )


def changed(lake, table, change):
    """Rewrite a table, each row with what `change` says of it."""
    rows = [row | change(row) for row in lake.read(table).to_pylist()]
    lake.overwrite(table, pa.Table.from_pylist(rows, arrow_schema(lake.table(table))))


@pytest.fixture
def lake(tmp_path) -> Lake:
    """With vectors of the tiny encoder, and reviews of several clauses."""
    lake = small_lake(tmp_path / "lake")
    rows = lake.read("reviews").to_pylist()
    for row in rows:
        row["clean_text"] = f"{row['clean_text']}. Bought it, used it. {row['review_id']} is my number!"
    lake.overwrite("reviews", pa.Table.from_pylist(rows, arrow_schema(lake.table("reviews"))))
    encoder = Encoder(settings_of(tmp_path).embed.encoder)
    vectors = encoder.encode([row["clean_text"] for row in rows])
    columns = {"text_hash": [row["text_hash"] for row in rows], "encoder": [encoder.identity] * len(rows)}
    lake.merge("text_vectors", pa.table(columns | {"vector": [vector.tolist() for vector in vectors]}))
    return lake


class TestJob:
    WIDE = {"similarity": [0.3, 0.9999], "reviews": 60}  # noqa: RUF012

    def test_only_training_reviews_are_sources(self, lake):
        sources = training_reviews(lake, Encoder(settings_of("x").embed.encoder).identity, 1000)
        examples = lake.read("examples").to_pylist()
        training = [r for r in examples if r["kind"] == "review" and r["split"] == "train"]
        assert sorted(sources.ids) == sorted(f"r{row['review']}" for row in training)
        by_id = {f"r{row['review']}": row for row in training}
        assert sources.labels["stars"].tolist() == [by_id[name]["stars"] for name in sources.ids]
        texts = {row["review_id"]: row["clean_text"] for row in lake.read("reviews").to_pylist()}
        assert sources.texts == [texts[name] for name in sources.ids]
        some = training_reviews(lake, Encoder(settings_of("x").embed.encoder).identity, 10)
        assert len(some.ids) == 10 and set(some.ids) < set(sources.ids)

    def test_what_is_made_is_traceable_numbered_encoded_and_read_by_training_alone(self, lake):
        before = {name: lake.read(name).to_pylist() for name in ("examples", "reviews", "texts_vocabulary")}
        vectors = lake.info("text_vectors").rows
        settings = settings_of(lake.root, **self.WIDE)
        figures = run_stage(settings, stage("augment"))
        made = lake.read("synthetic_texts").to_pylist()
        assert figures["made"] == len(made) > 15 and figures["reviews"] == 60
        run = runs.latest(lake, "augment")
        own = {row["review"]: row for row in before["examples"] if row["kind"] == "review"}
        texts = {row["review_id"]: row["clean_text"] for row in before["reviews"]}
        for row in made:
            source = own[int(row["review_id"][1:])]
            assert source["split"] == "train" and row["method"] == "crop_shuffle" and row["generator"] is None
            assert all(row[name] == source[name] for name in ("sentiment", "stars", "category"))
            assert set(clauses(row["text"])) <= set(clauses(texts[row["review_id"]]))
            assert row["text_hash"] == sha256(row["text"].encode()).hexdigest() and row["run_id"] == run.run_id
            assert 0.3 <= row["similarity"] <= 0.9999
        vocabulary = lake.read("texts_vocabulary").to_pylist()
        assert sorted(row["text_index"] for row in vocabulary) == list(range(1, len(vocabulary) + 1))
        assert {row["text_hash"]: row["text_index"] for row in made}.items() <= {
            row["text_hash"]: row["text_index"] for row in vocabulary
        }.items()
        assert lake.info("text_vectors").rows - vectors == len({row["text_hash"] for row in made})
        assert lake.read("examples").to_pylist() == before["examples"]

        plain = load_examples(lake)
        more = load_examples(lake, synthetic=lake.version("synthetic_texts"))
        assert len(more["train"]) == len(plain["train"]) + len(made)
        for split in ("valid", "test"):
            assert np.array_equal(more[split].review, plain[split].review)
            assert np.array_equal(more[split].labels["stars"], plain[split].labels["stars"], equal_nan=True)
        fresh = more["train"].user == 0
        assert fresh.sum() == len(made)
        by_index = {row["text_index"]: row for row in made}
        found = zip(more["train"].review[fresh].tolist(), more["train"].labels["stars"][fresh].tolist(), strict=True)
        assert all(by_index[index]["stars"] == stars for index, stars in found)
        assert np.isnan(more["train"].labels["rating"][fresh]).all() and not more["train"].history[fresh].any()
        rest = ~fresh
        assert np.array_equal(more["train"].review[rest], plain["train"].review)
        encoder = Encoder(settings.embed.encoder)
        features = load_features(lake, encoder=encoder.identity)
        at = made[0]["text_index"]
        np.testing.assert_allclose(features.texts[at], encoder.encode([made[0]["text"]])[0], atol=1e-3)
        versions = {name: lake.version(name) for name in ("reviews", "texts_vocabulary", "synthetic_texts")}
        words = WordSettings(buckets=1000)
        assert review_words(lake, words, versions).lengths[at] == len(words_of(made[0]["text"]))
        del versions["synthetic_texts"]
        assert review_words(lake, words, versions).lengths[at] == 0

    def test_a_second_run_makes_nothing_and_other_settings_make_other_texts(self, lake):
        first = augment.run(settings_of(lake.root, **self.WIDE))
        made = lake.read("synthetic_texts").sort_by("synthetic_id")
        again = augment.run(settings_of(lake.root, **self.WIDE))
        assert again["kept"] == len(set(made["review_id"].to_pylist())) and again["dropped"] == 0
        assert lake.read("synthetic_texts").sort_by("synthetic_id").equals(made)
        fewer = augment.run(settings_of(lake.root, **self.WIDE | {"reviews": 20}))
        left = {row["synthetic_id"] for row in lake.read("synthetic_texts").to_pylist()}
        assert fewer["reviews"] == 20 and fewer["dropped"] == first["made"] - fewer["kept"] > 0
        assert len(left & set(made["synthetic_id"].to_pylist())) == fewer["kept"] > 0
        shorter = augment.run(settings_of(lake.root, **self.WIDE | {"reviews": 20, "keep": 0.3}))
        assert shorter["dropped"] == len(left) and shorter["kept"] == 0
        assert not left & set(lake.read("synthetic_texts")["synthetic_id"].to_pylist())

    def test_paraphrases_come_first_and_what_is_left_is_cropped(self, lake, writer):
        writing = {"model": writer, "prompt": "{text}", "max_tokens": 12, "temperature": 1.0}
        figures = augment.run(settings_of(lake.root, generator=writing, **self.WIDE))
        made = lake.read("synthetic_texts").to_pylist()
        counts = {name: sum(row["method"] == name for row in made) for name in ("paraphrase", "crop_shuffle")}
        assert sum(counts.values()) == figures["made"]
        assert counts["paraphrase"] + sum(figures["rejected"]["paraphrase"].values()) == figures["reviews"] == 60
        identity = generator_identity(GeneratorSettings(**writing))
        assert all((row["generator"] == identity) == (row["method"] == "paraphrase") for row in made)

    def test_what_did_not_pass_is_not_asked_again(self, lake, writer, monkeypatch):
        writing = {"model": writer, "prompt": "{text}", "max_tokens": 12, "temperature": 1.0}
        settings = settings_of(lake.root, generator=writing, crop_shuffle=False, **self.WIDE)
        first = augment.run(settings)
        assert 0 < first["made"] < first["reviews"] == 60
        made = lake.read("synthetic_texts").sort_by("synthetic_id")
        monkeypatch.setattr(augment, "Generator", None)  # who asks it again fails
        again = augment.run(settings)
        assert (again["made"], again["kept"], again["tried"]) == (0, first["made"], 60 - first["made"])
        assert again["rejected"] == {} and lake.read("synthetic_texts").sort_by("synthetic_id").equals(made)

    def test_no_two_reviews_of_any_run_get_the_same_text(self, lake, monkeypatch):
        """Every review ends in the same sentence, which is what is left of each; two runs, three reviews a commit."""
        rows = lake.read("reviews").to_pylist()
        same = [row | {"clean_text": f"{row['clean_text']} Works well. Bought it, used it."} for row in rows]
        lake.overwrite("reviews", pa.Table.from_pylist(same, arrow_schema(lake.table("reviews"))))
        monkeypatch.setattr(augment, "REVIEWS_A_COMMIT", 3)
        monkeypatch.setattr(augment, "crop_and_shuffle", lambda text, *_: text[-len("Bought it, used it.") :])
        some = {"similarity": [-1.0, 1.0]}
        figures = [augment.run(settings_of(lake.root, reviews=count, **some)) for count in (10, 30)]
        assert [one["made"] for one in figures] == [1, 0]
        assert lake.read("synthetic_texts")["text"].to_pylist() == ["Bought it, used it."]

    def test_what_is_made_of_a_review_does_not_depend_on_the_others(self, lake, writer, monkeypatch):
        writing = {"model": writer, "prompt": "{text}", "max_tokens": 12, "temperature": 1.0}
        settings = settings_of(lake.root, generator=writing, crop_shuffle=False, **self.WIDE)
        augment.run(settings)
        whole = {row["review_id"]: row["text"] for row in lake.read("synthetic_texts").to_pylist()}
        for table in ("synthetic_texts", "synthetic_tried"):
            lake.overwrite(table, lake.read(table).slice(0, 0))
        monkeypatch.setattr(augment, "REVIEWS_A_COMMIT", 7)
        augment.run(settings)
        assert {row["review_id"]: row["text"] for row in lake.read("synthetic_texts").to_pylist()} == whole

    def test_what_is_made_follows_what_its_source_says_and_is_worth(self, lake):
        """Under the same ids: later versions of two reviews, and stars that the settings read otherwise now."""
        settings = settings_of(lake.root, **self.WIDE)
        first = augment.run(settings)
        before = {row["review_id"]: row for row in lake.read("synthetic_texts").to_pylist()}
        (edited, judged, *others), vain = sorted(before), min(lake.read("synthetic_tried")["review_id"].to_pylist())
        later = {edited: "Broke at once, sent it back. Never again, not as a gift!", vain: "Thick. Good, I would say."}
        changed(lake, "reviews", lambda row: {"clean_text": later.get(row["review_id"], row["clean_text"])})
        encoder = Encoder(settings.embed.encoder)
        columns = {"text_hash": [f"t{name[1:]}" for name in later], "encoder": [encoder.identity] * 2}
        lake.merge("text_vectors", pa.table(columns | {"vector": encoder.encode([*later.values()]).tolist()}))
        own = {"kind": "review", "review": int(judged[1:])}
        changed(lake, "examples", lambda row: {"sentiment": 1 - row["sentiment"]} if own.items() <= row.items() else {})
        again = augment.run(settings)
        after = {row["review_id"]: row for row in lake.read("synthetic_texts").to_pylist()}
        assert (again["dropped"], again["kept"], again["tried"]) == (2, len(before) - 2, 60 - len(before) - 1)
        assert {name: after[name] for name in others} == {name: before[name] for name in others}
        for name in after.keys() & later.keys():
            assert set(clauses(after[name]["text"])) <= set(clauses(later[name]))
        assert after[judged]["sentiment"] == 1 - before[judged]["sentiment"]
        third = augment.run(settings)
        assert (third["made"], third["dropped"], third["kept"]) == (0, 0, len(after)) and first["dropped"] == 0

    @pytest.mark.parametrize("written", [True, False], ids=["reviews without a label", "no reviews"])
    def test_where_there_is_no_label_there_is_nothing_to_make(self, lake, written):
        changed(lake, "examples", lambda row: dict.fromkeys(("sentiment", "stars", "category")))
        for table in () if written else ("reviews", "text_vectors"):
            lake.overwrite(table, lake.read(table).slice(0, 0))
        figures = augment.run(settings_of(lake.root, **self.WIDE))
        assert (figures["reviews"], figures["made"]) == (0, 0)

    def test_texts_are_made_anew_where_a_task_comes_that_judges_them(self, lake):
        settings = settings_of(lake.root, **self.WIDE)
        fewer = settings.model_copy(update={"tasks": [task for task in settings.tasks if task.name != "category"]})
        first = augment.run(fewer)
        again = augment.run(settings)
        assert (again["kept"], again["tried"], again["dropped"]) == (0, 0, first["made"]) and again["made"] > 0
        assert first["encoder"] == again["encoder"] == Encoder(settings.embed.encoder).identity

    def test_nothing_happens_unless_it_is_asked_for(self, lake):
        assert augment.run(settings_of(lake.root)) == {"made": 0}
        assert not lake.exists("synthetic_texts")


class TestSettings:
    @pytest.mark.parametrize(
        ("augmenting", "said"),
        [
            ({"similarity": [0.9, 0.2]}, "expected two cosines, the smaller first"),
            ({"crop_shuffle": False}, "expected one: nothing would make a text"),
            ({"generator": {"prompt": "Rewrite this."}}, r"expected \{text\} in it once"),
        ],
    )
    def test_what_cannot_be_is_refused(self, augmenting, said):
        with pytest.raises(ConfigError, match=said):
            settings_of("x", **augmenting)
