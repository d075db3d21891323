"""The items as the shop lists them: title, maker, category path, price and description, some in Chinese."""

import random
from datetime import datetime, timedelta

from tandemrec.sample.catalogue import Catalogue
from tandemrec.sample.moments import START, iso
from tandemrec.sample.wording.goods import (
    BRANDS,
    CATEGORIES,
    STYLE_SENTENCES,
    STYLE_SENTENCES_ZH,
    STYLES,
    STYLES_ZH,
)

COLUMNS = ("sku", "name", "maker", "category", "price_usd", "details", "updated")
LISTED_IN_CHINESE = 0.15
BRAND_MISSPELT = 0.06
_FINISHES = ("black", "sand", "moss green", "steel", "brick red", "sea blue", "ivory", "walnut", "graphite", "mustard")
_FINISHES_ZH = ("黑色", "沙色", "绿色", "银色", "红色", "海蓝", "白色", "木色", "灰色", "黄色")


def sku(item: int) -> str:
    return f"S{item + 1:06d}"


def list_item(rng: random.Random, catalogue: Catalogue, item: int) -> dict[str, str]:
    """The record of one item, its columns as in `COLUMNS`."""
    category = CATEGORIES[catalogue.category[item]]
    style, noun, brand = catalogue.style[item], catalogue.noun[item], BRANDS[catalogue.brand[item]]
    finish = rng.randrange(len(_FINISHES))
    if rng.random() < LISTED_IN_CHINESE:
        name = f"{brand} {STYLES_ZH[style]}{category.nouns_zh[noun % len(category.nouns_zh)]} {_FINISHES_ZH[finish]}"
        details = f"{STYLE_SENTENCES_ZH[style]}\n{'，'.join(rng.sample(category.features_zh, 2))}。"
    else:
        name = f"{brand} {STYLES[style].title()} {category.nouns[noun].title()}, {_FINISHES[finish]}"
        features = rng.sample(category.features, 2)
        details = f"{STYLE_SENTENCES[style]}\n{features[0].capitalize()}, {features[1]}."
    if rng.random() < BRAND_MISSPELT:
        brand = rng.choice((brand.upper(), brand.lower(), f" {brand} "))
    launched = int(catalogue.launched[item])
    since = timedelta(seconds=launched or -rng.randrange(300 * 86_400))
    return {
        "sku": sku(item),
        "name": name,
        "maker": brand,
        "category": category.path,
        "price_usd": f"{catalogue.price[item]:.2f}",
        "details": details,
        "updated": iso(START + since),
    }


def earlier_listing(rng: random.Random, record: dict[str, str]) -> dict[str, str]:
    """The same item as it was described some months before, at another price and in fewer words."""
    then = datetime.fromisoformat(record["updated"]) - timedelta(days=rng.randrange(10, 200))
    price = f"{float(record['price_usd']) * rng.uniform(1.05, 1.4):.2f}"
    return record | {"price_usd": price, "details": record["details"].split("\n")[0], "updated": iso(then)}
