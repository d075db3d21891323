"""What of a text is an address or a telephone number, and what only looks like one."""

from pyspark.sql import functions as F

from tandemrec.clean.masks import masked


def values(spark, texts):
    return spark.createDataFrame([(number, text) for number, text in enumerate(texts)], "n int, text string")


def test_addresses_and_telephone_numbers_are_masked(spark):
    cases = {
        "see https://example.com/a?b=1&c=me@example.com, or www.example.org.": "see [url], or [url].",
        "(HTTP://EXAMPLE.COM/a_(b)) wow": "([url])) wow",
        "https://example.com/ is it": "[url] is it",
        "网址http://example.cn/x很好": "网址[url]很好",
        "mail me.too+x@mail.example.co.uk! a @ b, @someone, 3@4": "mail [email]! a @ b, @someone, 3@4",
        "call (212) 555-0100 or 1-800-555-0199 or 212.555.0100": "call [phone] or [phone] or [phone]",
        "+44 20 7946 0958, +86 138-0013-8000, 13800138000, 010-12345678": "[phone], [phone], [phone], [phone]",
        "电话13800138000联系": "电话[phone]联系",
        "020 7946 0958, 01632 960123, +44 (0)20 7946 0958 5 stars": "[phone], [phone], [phone] 5 stars",
        "0171/1234567 (030) 1234567, 044 668 18 00, +33 1 23 45 67 89": "[phone] [phone], [phone], [phone]",
        "01 23 45 67 89. 06.12.34.56.78, 0412 345 678": "[phone]. [phone], [phone]",
        "03-1234-5678, 138 1234 5678, 86-13812345678, (010)12345678": "[phone], [phone], [phone], [phone]",
        "8 (495) 123-45-67, 0044 20 7946 0958, 400-8888-888": "[phone], [phone], [phone]",
        "call me at 4155550100, Tel: 555-0100, 电话:12345678": "call me at [phone], Tel: [phone], 电话:[phone]",
        "98765 43210, 212 555 0100, 1 212 555 0100": "[phone], [phone], [phone]",
        "ftp://a.example/x, example.com/a?b=1, (bit.ly/3xY)": "[url], [url], ([url])",
        "看t.cn/zW1ab很好": "看[url]很好",
        "cost 1,299.99 in 2024-10-05, 12345678901234567890, A13800138000, 16-100 ohm, 10.5.0.12": None,
        "Amazon.com, example.org. Sturdy.Price/quality, and/or U.S./Canada, 1/4": None,
        "strings 009 011 016 024 032 042, 045 065 085 105 130, 09 11 16 24 32 42, 010-046 013-056": None,
        "parts 010-01769-01, 099-0807-000, 014-4502-500, 055500015290, 15708043 15708044, 0012345678905": None,
        "order 026-1234567-1234567, 2015-2016, 01.02.2015 10, headphone 1234567, call 2015 2016": None,
        "item 1234567890, 100-200 3000 W, 7 555 0100, 1 100 200 3000, 0 71234 56789 0": None,
    }
    rows = values(spark, list(cases)).orderBy("n")
    found = [row[0] for row in rows.select(masked(F.col("text"), ["url", "email", "phone"])).collect()]
    assert found == [wanted or text for text, wanted in cases.items()]
    as_it_is = [row[0] for row in rows.select(masked(F.col("text"), [])).collect()]
    assert as_it_is == list(cases)
