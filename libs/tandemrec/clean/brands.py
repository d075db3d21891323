"""One spelling of each brand."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.texts import LETTER
from tandemrec.clean.verdicts import FORMER, KEPT

_LEGAL_FORMS = "inc|incorporated|ltd|limited|llc|l\\.l\\.c|gmbh|kg|ag|co|company|corp|corporation|plc"
_LEGAL_END = rf"(?:[\s.,&]+(?:{_LEGAL_FORMS})\.?)+$"

_NO_PART = rf"[^{LETTER}+#]+\p{{M}}*|(?<![{LETTER}+#])[+#]+|[+#]+(?=[{LETTER}])"  # + and # stay where a word ends


def brand_key(brand: Column) -> Column:
    """What all spellings of a brand share: `ACME`, `Acme, Inc.` and `ac-me` are one; `C`, `C++` and `C#` are three."""
    lower = F.lower(brand)
    name = F.regexp_replace(F.regexp_replace(lower, _LEGAL_END, ""), _NO_PART, "")
    return F.coalesce(F.nullif(name, F.lit("")), lower)  # a brand may be all signs


def one_spelling(settled: DataFrame) -> DataFrame:
    """Every brand as most current items spell it, or most former versions where no item has it any more; of equals, the
    first in the alphabet.
    """
    brand = F.col("brand")
    nobody = F.when(brand.isNull(), F.col("item_id"))  # spreads what has no brand over the partitions
    same = Window.partitionBy(brand_key(brand), nobody)
    by_verdict = [F.mode(F.when(F.col("verdict") == verdict, brand), True).over(same) for verdict in (KEPT, FORMER)]
    return settled.withColumn("brand", F.when(F.col("verdict").isin(KEPT, FORMER), F.coalesce(*by_verdict)))
