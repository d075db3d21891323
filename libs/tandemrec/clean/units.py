"""Quantities in attributes, as sources write them, in one unit a dimension: `12 in`, `12"` and `30.48cm` are one."""

import json
import re
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

# Base unit: spellings of a unit and how many base units it is. Symbols are told by case: mW is no MW.
# Definitions: NIST Special Publication 811, appendix B (US customary units; bytes by powers of ten, KiB by two).
UNITS: dict[str, dict[str, float]] = {
    "cm": {
        "mm|MM|millimeter|millimeters|millimetre|millimetres": 0.1,
        "cm|CM|centimeter|centimeters|centimetre|centimetres": 1,
        "m|meter|meters|metre|metres": 100,
        "km|KM|kilometer|kilometers|kilometre|kilometres": 100_000,
        "in|IN|In|inch|inches|\"|''|″|”": 2.54,
        "ft|FT|Ft|foot|feet": 30.48,
        "yd|yard|yards": 91.44,
        "mi|mile|miles": 160_934.4,
    },
    "kg": {
        "mg|milligram|milligrams": 1e-6,
        "g|gram|grams": 1e-3,
        "kg|KG|Kg|kgs|kilogram|kilograms": 1,
        "oz|OZ|Oz|ounce|ounces": 0.028349523125,
        "lb|LB|Lb|lbs|pound|pounds": 0.45359237,
    },
    "L": {
        "ml|mL|ML|milliliter|milliliters|millilitre|millilitres": 1e-3,
        "cl|cL|centiliter|centiliters|centilitre|centilitres": 1e-2,
        "l|L|liter|liters|litre|litres": 1,
        "fl oz|fl. oz|fluid ounce|fluid ounces": 0.0295735295625,
        "pint|pints": 0.473176473,
        "qt|quart|quarts": 0.946352946,
        "gal|gallon|gallons": 3.785411784,
    },
    "W": {
        "mW|milliwatt|milliwatts": 1e-3,
        "W|w|watt|watts": 1,
        "kW|KW|kw|kilowatt|kilowatts": 1000,
        "MW|megawatt|megawatts": 1e6,
        "hp|HP|horsepower": 745.69987158227,
    },
    "GB": {
        "KB|kB|kb|kilobyte|kilobytes": 1e-6,
        "MB|mb|megabyte|megabytes": 1e-3,
        "GB|gb|gigabyte|gigabytes": 1,
        "TB|tb|terabyte|terabytes": 1000,
        "KiB": 1.024e-6,
        "MiB": 1.048576e-3,
        "GiB": 1.073741824,
        "TiB": 1099.511627776,
    },
    "s": {
        "ms|millisecond|milliseconds": 1e-3,
        "s|sec|secs|second|seconds": 1,
        "min|mins|minute|minutes": 60,
        "h|hr|hrs|hour|hours": 3600,
        "day|days": 86_400,
    },
}
# A comma before three digits may part thousands or decimals: such a value stays as it is.
_NUMBER = r"(\d{1,12}(?:\.\d+|,\d{1,2})?|\.\d+)"


def in_base_unit(text: Column) -> Column:
    """A value that is wholly NUMBER UNIT in the base unit of its dimension, any other as it is.

    `2 lbs` becomes `0.907 kg`: three decimals or, of less than one, three significant digits.
    """
    factors, bases = _spellings()
    quantity = rf"^\s*{_NUMBER}\s*-?\s*({'|'.join(map(re.escape, factors))})\.?\s*$"
    unit = F.regexp_extract(text, quantity, 2)
    number = F.translate(F.regexp_extract(text, quantity, 1), ",", ".").cast("double")
    value = number * F.element_at(_literal(factors), unit)
    scale = F.pow(F.lit(10.0), F.greatest(F.lit(3), F.lit(2) - F.floor(F.log10(value))))
    digits = F.regexp_replace((F.round(value * scale) / scale).cast("decimal(38,12)").cast("string"), r"\.?0+$", "")
    # Most values are no quantity: they cost one look.
    return F.when(text.rlike(quantity), F.concat_ws(" ", digits, F.element_at(_literal(bases), unit))).otherwise(text)


def _spellings() -> tuple[dict[str, float], dict[str, str]]:
    """Factor and base unit by spelling; words also in capitals, or with capitals in front."""
    factors, bases = {}, {}
    for base, units in UNITS.items():
        for spellings, factor in units.items():
            for spelling in spellings.split("|"):
                is_word = len(spelling) > 2 and spelling.islower()
                for form in (spelling, spelling.title(), spelling.upper()) if is_word else (spelling,):
                    factors[form], bases[form] = float(factor), base
    return factors, bases


def _literal(values: Mapping[str, float] | Mapping[str, str]) -> Column:
    """A map, as one literal: hundreds of them made one by one are as many calls to Java."""
    type_ = "double" if all(isinstance(value, float) for value in values.values()) else "string"
    return F.from_json(F.lit(json.dumps(values, ensure_ascii=False)), f"map<string,{type_}>")
