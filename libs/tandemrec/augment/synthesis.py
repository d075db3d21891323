"""From reviews to texts that pass: each method in turn makes what the ones before it could not."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from tandemrec.augment.filters import Array, Probes, cosines
from tandemrec.augment.sources import Sources

Method = Callable[[Sequence[str], int], list[str | None]]
"""(texts, variant) -> a text made from each, None where it makes none."""

Encode = Callable[[Sequence[str]], Array]


@dataclass(kw_only=True)
class Made:
    """Texts that passed, each with its sha256, its source's place, its method, variant, vector and cosine to the
    source; and how many of each method did not, by reason: none, similarity, label or repeated.
    """

    source: list[int] = field(default_factory=list)
    variant: list[int] = field(default_factory=list)
    method: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    text_hash: list[str] = field(default_factory=list)
    similarity: list[float] = field(default_factory=list)
    vector: list[Array] = field(default_factory=list)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)


def synthesise(
    sources: Sources,
    places: Sequence[int],
    methods: Mapping[str, Method],
    encode: Encode,
    probes: Probes,
    told: set[str],
    *,
    variants: int,
    similarity: tuple[float, float],
) -> Made:
    """Make texts from some of the sources and keep those that are fit.

    Args:
        sources: all of them, which the probes have learned from.
        places: those that texts are made from now.
        methods: by name, in the order in which they are tried.
        encode: texts -> vectors (N, D), as those of the sources.
        probes: judge labels.
        told: sha256 of texts that are not to be made again, besides the sources'; those of the texts made are added.
        variants: texts of each source.
        similarity: smallest and largest cosine, of vectors less the mean of the sources' vectors.
    """
    made = Made(rejected={name: Counter() for name in methods})
    own, common_D = set(sources.texts), sources.vectors.mean(0)
    for variant in range(variants):
        left = list(places)
        for name, method in methods.items():
            texts = method([sources.texts[place] for place in left], variant)
            asked = [(place, text.strip()) for place, text in zip(left, texts, strict=True) if text and text.strip()]
            made.rejected[name]["none"] += len(left) - len(asked)
            if not asked:
                continue
            place_N, vectors = np.array([place for place, _ in asked]), encode([text for _, text in asked])
            cosine_N = cosines(vectors, sources.vectors[place_N], common_D)
            near_N = (cosine_N >= similarity[0]) & (cosine_N <= similarity[1])
            true_N = probes.agree(vectors, place_N)
            passed = set()
            for number, (place, text) in enumerate(asked):
                text_hash = sha256(text.encode()).hexdigest()
                if not near_N[number] or not true_N[number] or text in own or text_hash in told:
                    reason = "similarity" if not near_N[number] else "label" if not true_N[number] else "repeated"
                    made.rejected[name][reason] += 1
                    continue
                told.add(text_hash)
                passed.add(place)
                made.source.append(place)
                made.variant.append(variant)
                made.method.append(name)
                made.text.append(text)
                made.text_hash.append(text_hash)
                made.similarity.append(float(cosine_N[number]))
                made.vector.append(vectors[number])
            left = [place for place in left if place not in passed]
    return made
