"""Times, texts, words, prices and categories: what single values become."""

from datetime import datetime
from decimal import Decimal

from pyspark.sql import functions as F

from tandemrec.clean.items import category
from tandemrec.clean.prices import amount, currency, priced
from tandemrec.clean.texts import joined, letters_and_digits, plain, trimmed
from tandemrec.clean.times import parse_time, shape
from tandemrec.clean.words import language, with_tokens


def values(spark, texts):
    return spark.createDataFrame([(number, text) for number, text in enumerate(texts)], "n int, text string")


def test_times_by_the_shape_of_the_string(spark):
    formats = ["dd/MM/yyyy HH:mm:ss", "iso", "epoch_s", "epoch_ms", "MMM d, yyyy", "yyyyMMdd", "yyyyMMddHHmmss"]
    formats += ["epoch_us", "epoch_ns"]
    expected = {
        "2025-03-01T12:34:56Z": "2025-03-01T12:34:56",
        "2025-03-01 12:34:56.123456": "2025-03-01T12:34:56.123456",
        "2025-03-01T12:34:56.5+08:00": "2025-03-01T04:34:56.500",
        "2025-03-01": "2025-03-01T00:00:00",
        "1740832496": "2025-03-01T12:34:56",
        "1740832496.25": "2025-03-01T12:34:56.250",
        "1.740832496E9": "2025-03-01T12:34:56",
        "1740832496789": "2025-03-01T12:34:56.789",
        "1740832496789123": "2025-03-01T12:34:56.789123",
        "1740832496789123999": "2025-03-01T12:34:56.789123",
        "20250301123456": "2025-03-01T12:34:56",  # no milliseconds of the year 2611
        "01/03/2025 12:34:56": "2025-03-01T12:34:56",
        "Mar 1, 2025": "2025-03-01T00:00:00",
        "20250301": "2025-03-01T00:00:00",
    }
    unreadable = ["31/02/2025 08:15:00", "2025-06-31T08:15:00Z", "2025-13-01", "yesterday", "", None, "12:30", "T12:30"]
    unreadable += ["12345678", "12345678901234567", "-1740832496", "1/3/2025 12:34:56", "2025", "2025-03"]
    frame = values(spark, [*expected, *unreadable]).withColumn("time", parse_time(F.col("text"), formats))
    texts = frame.orderBy("n").select(F.date_format("time", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS").alias("time"))
    found = [row.time for row in texts.collect()]
    for (text, wanted), got in zip(expected.items(), found, strict=False):
        assert got is not None and datetime.fromisoformat(got) == datetime.fromisoformat(wanted), text
    assert found[len(expected) :] == [None] * len(unreadable)
    only_iso = values(spark, ["1740832496", "1740832496789", "2025-03-01"])
    unread = [row.t is None for row in only_iso.select(parse_time(F.col("text"), ["iso"]).alias("t")).collect()]
    assert unread == [True, True, False]
    assert shape("yyyy-MM-dd'T'HH:mm[:ss]") == r"^\d{4}\-\d{2}\-\d{2}T\d{2}:\d{2}(?::\d{2})?$"


def test_texts_become_readable(spark):
    cases = {
        "one<br />two<br>three": "one two three",
        "<p>He said &quot;no&quot; &amp; left</p>": 'He said "no" & left',
        "un<b>believ</b>able &#39;&#x41;&#39;": "unbelievable 'A'",
        "a < b and b > c, I <3 it": "a < b and b > c, I <3 it",
        "\u200bzero\ufeff \u0000con\u0007trol\u001b": "zero control",
        " many \t\n\u00a0\u3000 spaces ": "many spaces",
        "ＡＢＣ１２ ﬁne": "ABC12 fine",
        "see https://example.com/a?b=1&c=2": "see https://example.com/a?b=1&c=2",
        "Good<script type='x'>alert('<b>'); a < b</script>, really": "Good , really",
        "<STYLE>p{color:red}</style >Nice <script> tag": "Nice tag",
        "one&lt;br /&gt;two &lt;b&gt;three&lt;/b&gt; &lt;3 &lt;x&gt;": "one two three <3 <x>",
        "<p> </p>": None,
        "&nbsp;\u200b": None,
        "": None,
        None: None,
        "质量非常好，推荐！": "质量非常好,推荐!",
    }
    found = plain(values(spark, list(cases)), ["text"]).orderBy("n").collect()
    assert {text: row.text for text, row in zip(cases, found, strict=True)} == cases
    pairs = spark.createDataFrame([("a", "b"), ("a", None), (None, "b"), (None, None)], "t string, x string")
    assert [row[0] for row in pairs.select(joined(F.col("t"), F.col("x"))).collect()] == ["a. b", "a", "b", None]
    same = values(spark, ["Great, GREAT pedal!  100%", "great great\tpedal 100", " u1 ", "\u3000"])
    keys = [row[0] for row in same.select(letters_and_digits(F.col("text"))).collect()]
    assert keys[0] == keys[1] == "greatgreatpedal100"
    marked = values(spark, ["काला, ❤️ 1", "किला", "रिन ❤"]).select(letters_and_digits(F.col("text")))
    assert [row[0] for row in marked.collect()] == ["काला1", "किला", "रिन"]
    assert [row[0] for row in same.select(trimmed(F.col("text"))).collect()][2:] == ["u1", None]


def test_languages_and_words(spark):
    cases = {
        "I don't love this Fender-style pedal, 9V works": ("en", ["love", "fender", "style", "pedal", "9v"]),
        "这款iPhone手机的屏幕，非常清晰": ("zh", ["这款", "iphone", "手机", "屏幕", "非常", "清晰"]),
        "Отличная гитара": ("other", ["отличная", "гитара"]),
        "!!! ... 42": ("other", ["42"]),
        "Très bonne guitare": ("en", ["très", "bonne", "guitare"]),
        "यह किताब बहुत अच्छी है": ("other", ["यह", "किताब", "बहुत", "अच्छी", "है"]),
        "สินค้าดีมาก 👍️": ("other", ["สินค้าดีมาก", "👍️"]),
        "Cafe\u0301 noir, z\u0323ebra": ("en", ["cafe\u0301", "noir", "z\u0323ebra"]),
        "この製品は品質が高く、スーパーで購入": (
            "other",
            ["この", "製品", "は", "品質", "が", "高", "く", "スーパー", "で", "購入"],
        ),
        "这款绿の茶非常清晰的屏幕": ("zh", ["这款", "绿", "の", "茶", "非常", "清晰", "屏幕"]),
    }
    texts = values(spark, list(cases)).withColumnRenamed("text", "clean_text")
    spoken = texts.withColumn("language", language(F.col("clean_text")))
    found = with_tokens(spoken, ["Works", "it's", "back\\slash"]).orderBy("n").collect()
    for (text, (code, words)), row in zip(cases.items(), found, strict=True):
        assert row.language == code, text
        assert row.tokens == words, text


def test_long_texts_in_latin_letters_are_english_where_they_have_its_words(spark):
    cases = {
        "Die Qualität ist leider nicht gut, das Kabel war nach zwei Wochen kaputt und der Händler hat nicht "
        "geantwortet": "other",
        "El producto llegó tarde y la caja estaba rota, no lo recomiendo a nadie, es una pena porque me gustaba "
        "mucho": "other",
        "Le produit est arrivé en retard et la boîte était cassée, je ne le recommande à personne, dommage car "
        "j'aimais bien": "other",
        "Het product kwam te laat aan en de doos was kapot, ik kan het niemand aanraden, het is jammer want ik vond "
        "het mooi": "other",
        "Produktet kom for sent og kassen var i stykker, jeg kan ikke anbefale det til nogen, for jeg kunne have "
        "brugt det": "other",
        "I bought these strings in March and play them every day for hours, no rust, warm tone, a good buy at "
        "twice the price": "en",
        "Qualität gut": "en",  # too short to tell
    }
    texts = values(spark, list(cases)).withColumnRenamed("text", "clean_text")
    spoken = with_tokens(texts.withColumn("language", language(F.col("clean_text"))), []).orderBy("n").collect()
    assert [row.language for row in spoken] == list(cases.values())
    assert "nicht" in spoken[0].tokens and "the" not in spoken[5].tokens


def test_prices_and_categories(spark):
    prices = {
        "$1,299.00": ("1299.00", "USD"),
        "12.5 EUR": ("12.50", "EUR"),
        "¥99": ("99.00", "CNY"),
        "1.299,00 €": ("1299.00", "EUR"),
        "12,50": ("12.50", "GBP"),
        "1 299 kr SEK": ("1299.00", "SEK"),
        "$9.99 - $19.99": ("9.99", "USD"),
        "19.990": ("19.99", "GBP"),
        "1.25E3": ("1250.00", "GBP"),
        "0.0": ("0.00", "GBP"),
        "call us": None,
        "-5": None,
        "-$5.00": None,
        "99999999999999": None,
        "": None,
        None: None,
    }
    price = F.col("text")
    frame = values(spark, list(prices)).withColumn("text", priced(price))
    frame = frame.select("n", amount(price).alias("a"), currency(price, F.lit(None), "GBP").alias("c"))
    for (written, wanted), row in zip(prices.items(), frame.orderBy("n").collect(), strict=True):
        assert row.a == (Decimal(wanted[0]) if wanted else None), written
        assert not wanted or row.c == wanted[1], written
    paths = {
        '["Music", " Guitars ", ""]': ["Music", "Guitars"],
        '[["Music", "Guitars"], ["Gifts"]]': ["Music", "Guitars"],
        "Home & Kitchen > Coffee/Tea > Mugs": ["Home & Kitchen", "Coffee/Tea", "Mugs"],
        "Men's 3/4 Sleeve | Shirts": ["Men's 3/4 Sleeve", "Shirts"],
        "Books/Fiction": ["Books", "Fiction"],
        "Movies & TV": ["Movies & TV"],
        "[]": None,
        " > ": None,
        None: None,
    }
    found = values(spark, list(paths)).select("n", category(F.col("text")).alias("path")).orderBy("n").collect()
    assert {written: row.path for written, row in zip(paths, found, strict=True)} == paths


def test_texts_of_any_length_are_matched(spark):
    """Java matches a repeated group by recursion unless it is possessive; a full stack ends the whole process."""
    long = values(spark, ["1" + " 000" * 50_000, "a" + "'a" * 50_000, "May" + " May" * 50_000])
    worded = with_tokens(long.withColumns({"clean_text": F.col("text"), "language": F.lit("other")}), [])
    cells = [
        amount(priced(F.col("text"))).isNull(),
        F.length(F.get("tokens", 0)),
        parse_time(F.col("text"), ["MMM d, yyyy", "iso"]).isNull(),
    ]
    found = [tuple(row) for row in worded.select(*cells).collect()]
    assert found == [(True, 1, True), (True, 100_001, True), (True, 3, True)]
    scripts = "<script>" * 50_001 + "<" * 50_000 + "x</script>"
    assert [row.text for row in plain(values(spark, [scripts]), ["text"]).collect()] == [None]
