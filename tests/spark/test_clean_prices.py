"""Prices as shops write them: how much, and of which currency."""

from decimal import Decimal

from pyspark.sql import functions as F

from tandemrec.clean.prices import amount, currency, priced


def test_prices_of_many_shops(spark):
    prices = {
        "$1,299": ("1299.00", "USD"),
        "¥1,299": ("1299.00", "CNY"),
        "1.299 €": ("1299.00", "EUR"),
        "1.299,00 €": ("1299.00", "EUR"),
        "1.299.000,50 €": ("1299000.50", "EUR"),
        "1.299.000 €": ("1299000.00", "EUR"),
        "1,299,000 KRW": ("1299000.00", "KRW"),
        "1'299.50 CHF": ("1299.50", "CHF"),
        "0.125 €": ("0.13", "EUR"),
        "US$ 5": ("5.00", "USD"),
        "US$5.5": ("5.50", "USD"),
        "CA$ 5": ("5.00", "CAD"),
        "AU$5": ("5.00", "AUD"),
        "HK$ 1,299.9": ("1299.90", "HKD"),
        "$5 - $9": ("5.00", "USD"),
        "€ 5 – 9": ("5.00", "EUR"),
        "from £5.99": ("5.99", "GBP"),
        "EUR12.50": ("12.50", "EUR"),
        "12.50eur": ("12.50", "EUR"),
        "CHF12.-": ("12.00", "CHF"),
        "1299 ₽": ("1299.00", "RUB"),
        "1299 руб.": ("1299.00", "RUB"),
        "฿100": ("100.00", "THB"),
        "49,90 zł": ("49.90", "PLN"),
        "Rs.500": ("500.00", "INR"),
        "S$12": ("12.00", "SGD"),
        "US$12 / S$16": ("12.00", "USD"),
        "$12.50 CAD": ("12.50", "CAD"),
        "¥1000 (USD 7)": ("1000.00", "CNY"),
        "12元起": ("12.00", "CNY"),
        "約12円から": ("12.00", "JPY"),
        "3 for $10": ("10.00", "USD"),
        "2 x 5 - 9 €": ("5.00", "EUR"),
        "-EUR 5": (None, "EUR"),
        "from 5.99": ("5.99", "GBP"),
        "5.99 each": ("5.99", "GBP"),
        "12 XYZ": ("12.00", None),
        "R199": ("199.00", None),
        "Z$12": ("12.00", None),
        "﷼ 5": ("5.00", None),
        "199 kr": ("199.00", None),
    }
    price = F.col("price")
    frame = spark.createDataFrame([(text,) for text in prices], "text string").withColumn(
        "price", priced(F.col("text"))
    )
    for row in frame.select("text", amount(price).alias("a"), currency(price, F.lit(None), "GBP").alias("c")).collect():
        wanted, code = prices[row.text]
        assert (row.a, row.c) == (wanted and Decimal(wanted), code), row.text


def test_a_currency_is_a_code_wherever_it_is_told(spark):
    told = {
        ("12", "eur"): "EUR",
        ("12", "€"): "EUR",
        ("12", "zł"): "PLN",
        ("12 €", "USD"): "USD",
        ("12 €", "Euro"): "EUR",
        ("12", "Euro"): None,
        ("12", "kr"): "NOK",
        ("199 kr", None): "NOK",
        ("199 kr SEK", None): "SEK",
        ("12", None): "NOK",
    }
    frame = spark.createDataFrame(list(told), "price string, given string")
    for row in frame.select("*", currency(F.col("price"), F.col("given"), "NOK").alias("found")).collect():
        assert row.found == told[row.price, row.given], row
