"""Emoji as one sign each, or by name: `EMOJI` is a pattern that Java (Spark) and Python read alike.

An emoji is a pictograph with what belongs to it: variation selector, tone of skin, tags (flags of regions) and more
pictographs behind zero-width joiners; or two regional indicators (a flag); or a keycap (UTS #51, ED-17). Pictographs
are the blocks Miscellaneous Technical, Miscellaneous Symbols, Dingbats, Miscellaneous Symbols and Arrows, and all
from U+1F000 to U+1FAFF.
"""

import re
import unicodedata

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import StringType

JOINER, SELECTOR, _KEYCAP, _BLACK_FLAG = "\u200d", "\ufe0f", "\u20e3", "\U0001f3f4"
_TAGS, _TONES, _LETTERS = "\U000e0020-\U000e007f", "\U0001f3fb-\U0001f3ff", "\U0001f1e6-\U0001f1ff"
_PICTOGRAPHS = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_ONE = f"(?:{_BLACK_FLAG}[{_TAGS}]+|[{_PICTOGRAPHS}][{SELECTOR}{_TONES}]{{0,2}})"
EMOJI = f"(?:[{_LETTERS}]{{2}}|[0-9#*]{SELECTOR}?{_KEYCAP}|{_ONE}(?:{JOINER}{_ONE})*)"
NAMED = r"(?<!\S):[a-z][a-z0-9_-]*:(?![^\s.])"  # as `named` writes it

# For Spark. Invisible characters belong to an emoji as joiners between two pictographs and as tags behind a black flag;
# anywhere else they would hide from people what a model reads.
_JOINED = f"(?<=[{_PICTOGRAPHS}][{SELECTOR}{_TONES}]{{0,2}}){JOINER}(?=[{_PICTOGRAPHS}])"
_TAGGED = f"(?<={_BLACK_FLAG}[{_TAGS}]{{0,5}})[{_TAGS}]"
STRAY = f"(?!{_JOINED}|{_TAGGED})[{JOINER}{_TAGS}]"


def named(text: Column) -> Column:
    """Each emoji by its name between spaces: `:thumbs_up_sign:`, `:flag_de:`, `:keycap_1:`, `:man_woman_girl:`.

    The names are those of Unicode's characters, which Python knows, not the short names of CLDR; tones of skin go
    unsaid. Null stays null.
    """
    found = text.rlike(EMOJI)
    return F.coalesce(_named(F.when(found, text)), text)


def without_names(text: Column) -> Column:
    """The text as it was said, without the names of emoji: their letters are English in every language."""
    return F.regexp_replace(text, NAMED, "")


@pandas_udf(StringType())  # type: ignore[call-overload,untyped-decorator]
def _named(texts: pd.Series) -> pd.Series:
    pattern = re.compile(EMOJI)
    return texts.map(
        lambda text: " ".join(pattern.sub(lambda match: f" {name(match[0])} ", text).split()), na_action="ignore"
    )


def name(emoji: str) -> str:
    """The name of one emoji between colons; without a name, its code points as U-1FAFF."""
    if emoji[-1] == _KEYCAP:
        words = [f"keycap {'hash' if emoji[0] == '#' else 'asterisk' if emoji[0] == '*' else emoji[0]}"]
    elif len(emoji) == 2 and re.fullmatch(f"[{_LETTERS}]{{2}}", emoji):
        words = ["flag " + "".join(chr(ord(letter) - 0x1F1E6 + ord("a")) for letter in emoji)]
    elif tags := re.findall(f"[{_TAGS}]", emoji):
        words = ["flag " + "".join(chr(ord(tag) - 0xE0000) for tag in tags if ord(tag) < 0xE007F)]
    else:
        unsaid = re.compile(f"[{JOINER}{SELECTOR}]|(?<=.)[{_TONES}]")
        words = [unicodedata.name(sign, f"u-{ord(sign):x}") for sign in unsaid.sub("", emoji)]
    return ":" + re.sub(r"[^a-z0-9-]+", "_", " ".join(words).lower()).strip("_") + ":"
