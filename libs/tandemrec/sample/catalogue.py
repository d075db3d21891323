"""The items as numbers: category, brand, style, quality, price, popularity.

Shapes: I items, K styles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tandemrec.sample.wording.goods import BRANDS, CATEGORIES, STYLES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CATEGORY_SHARES: Floats = np.array([category.share for category in CATEGORIES]) / sum(c.share for c in CATEGORIES)
OF_THE_BRANDS_STYLE = 0.65
ZIPF_EXPONENT = 0.7
LAUNCHED_IN_THE_YEAR = 0.12


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    category: Ints  # (I,) index of CATEGORIES
    brand: Ints  # (I,) index of BRANDS
    style: Ints  # (I,) index of STYLES
    noun: Ints  # (I,) which of the category's products
    factor: Floats  # (I, K) how much of each style the item has
    quality: Floats  # (I,) standard normal
    popularity: Floats  # (I,) positive; only ratios matter
    price: Floats  # (I,) in dollars, two decimals
    launched: Ints  # (I,) seconds since the start of the year; 0: on sale before

    def __len__(self) -> int:
        return len(self.category)


def make_catalogue(rng: np.random.Generator, items: int) -> Catalogue:
    """Items whose brand tells something of style, price and quality, and whose popularity is skewed as Zipf found."""
    # Every category has an item, however small the catalogue.
    others = rng.choice(len(CATEGORIES), items - len(CATEGORIES), p=CATEGORY_SHARES)
    category = np.concatenate([np.arange(len(CATEGORIES)), others])
    brand_style = np.arange(len(BRANDS)) % len(STYLES)
    brand_level, brand_quality = rng.normal(0, 0.3, len(BRANDS)), rng.normal(0, 0.5, len(BRANDS))
    brand_categories = np.argsort(rng.random((len(BRANDS), len(CATEGORIES))), axis=1) < 5
    brand = np.array([rng.choice(np.flatnonzero(_at_least_one(brand_categories[:, c]))) for c in category])
    style = np.where(rng.random(items) < OF_THE_BRANDS_STYLE, brand_style[brand], rng.integers(len(STYLES), size=items))
    factor = np.eye(len(STYLES))[style] + rng.normal(0, 0.15, (items, len(STYLES)))
    median = np.array([c.price for c in CATEGORIES])[category]
    rank = rng.permutation(items) + 1
    launch = rng.integers(0, 300 * 86_400, items)
    return Catalogue(
        category=category,
        brand=brand,
        style=style,
        noun=rng.integers(0, np.array([len(c.nouns) for c in CATEGORIES])[category]),
        factor=factor,
        quality=0.85 * rng.standard_normal(items) + brand_quality[brand],
        popularity=np.float_power(rank + 5, -ZIPF_EXPONENT),
        price=np.round(median * np.exp(brand_level[brand] + rng.normal(0, 0.35, items)), 2),
        launched=np.where(rng.random(items) < LAUNCHED_IN_THE_YEAR, launch, 0),
    )


def _at_least_one(offered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return offered if offered.any() else np.ones_like(offered)
