"""The catalogue as one CSV file: in no order, some items listed twice, details with commas, quotes and newlines."""

import csv
import io
import random
from pathlib import Path

import numpy as np

from tandemrec.sample import dirt
from tandemrec.sample.catalogue import Catalogue
from tandemrec.sample.files import write_text
from tandemrec.sample.listing import COLUMNS, earlier_listing, list_item
from tandemrec.sample.planted import TableCounts

HTML_SHARE = 0.1
CONTROL_SHARE = 0.03
_CONTROL = ("\u0007", "\u200b")  # no NUL: few CSV readers take it
NO_PRICE = ("call us", "n/a", "--", "")


def write_items(rng: np.random.Generator, folder: Path, catalogue: Catalogue) -> tuple[TableCounts, dirt.Marks, int]:
    """Write folder/items.csv; what was written, how many details carry marks, how many items have no price."""
    draw = random.Random(int(rng.integers(2**62)))
    defects = dirt.assign(rng, len(catalogue), dirt.ITEM_RATES)
    records: list[dict[str, str]] = []
    for item in range(len(catalogue)):
        record = list_item(draw, catalogue, item)
        record["details"] = _marked(draw, record["details"])
        code = defects.get(item)
        if code == "price_unreadable":
            record["price_usd"] = draw.choice(NO_PRICE)
        records.append(record)
        if code == dirt.EXACT:
            records.append(record)
        elif code == dirt.FORMER:
            records.append(earlier_listing(draw, record))
        elif code == "item_id_missing":
            records.append(record | {"sku": draw.choice(("", "  "))})
    draw.shuffle(records)
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    write_text(folder / "items.csv", text.getvalue())
    marks = dirt.Marks()
    marks.add(*(record["details"] for record in records))
    lines_beside = {item: code for item, code in defects.items() if code != "price_unreadable"}
    rates = {code: rate for code, rate in dirt.ITEM_RATES.items() if code != "price_unreadable"}
    return dirt.counted(len(catalogue), lines_beside, rates), marks, len(defects) - len(lines_beside)


def _marked(draw: random.Random, details: str) -> str:
    chance = draw.random()
    if chance < HTML_SHARE:
        return dirt.with_html(draw, details.replace("&", "&amp;"), spaced=details.isascii())
    if chance < HTML_SHARE + CONTROL_SHARE:
        return dirt.with_control_characters(draw, details, details.isascii(), _CONTROL)
    return details
