"""Lines as broken collectors, careless people and attackers write them: valid ones, mutated by a seeded generator."""

import json
import random
from collections.abc import Callable

Line = bytes
TIMES = [
    "2025-03-01T12:34:56Z",
    "2025-03-01",
    "2025-03-01T12:34:56.123456789+08:00",
    "2016-12-31T23:59:60Z",
    "2025-02-30T00:00:00Z",
    "0000-01-01",
    "0001-01-01T00:00:00Z",
    "-0044-03-15T00:00:00Z",
    "-1000-01-01",
    "9999-12-31T23:59:59Z",
    "10000-01-01",
    "294248-01-01T00:00:00Z",
    "1582-10-10",
    "1883-11-18T12:03:58Z",
    "2025-03-01T12:34:56+99:99",
    "2025-03-01T12:34:56 Mars/Olympus",
    "2025-03-01T24:00:00Z",
    "epoch",
    "now",
    "T12:34:56",
    "01/03/2025 12:34:56",
    "31/02/2025 12:34:56",
    "99/99/9999 99:99:99",
    1740832496,
    1740832496000,
    -1740832496,
    0,
    -1,
    1.740832496e9,
    1.740832496e12,
    10**18,
    10**40,
    "1e400",
    "-9223372036854775809",
    "９９９９-０１-０１",
]
TEXTS = [
    "",
    " ",
    "\u0000",
    "a\u0000b",
    "\ufeff",
    "\u200b\u200d",
    "\u202eabc\u202c",
    "مرحبا بالعالم",
    "שלום abc 你好",
    "好看，喜欢",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301" * 40,
    "ﷺ" * 30,
    "\u2028\u2029\u0085",
    "\r",
    "\\",
    '"',
    "'",
    "&lt;b&gt;&#0;&#xD800;&#1114112;&nbsp;&notanentity;",
    "<b>x</b><<<a href='",
    "<" * 300,
    "a'" * 5000,
    "1 000" + " 000" * 3000,
    "+1 (22) 33 44 55 66 77 88",
    "a@b.c" * 200,
    "www." * 300,
    "http://" + "." * 3000,
    "A" * 70000,
    "null",
    "NaN",
    "true",
    "0x1F",
    "1e5",
    "-0",
    "{}",
    "[]",
    '{"user_id":"x"}',
    "'; DROP TABLE events; --",
    "../../etc/passwd",
    "%s%n{0}${x}",
]
LITERALS = [
    "NaN",
    "-Infinity",
    "Infinity",
    "1e400",
    "-1e400",
    "1e-400",
    "1" * 40,
    "9" * 1500,
    "00012",
    "+1",
    ".5",
    "1.",
    "0x10",
    "nul",
    "undefined",
    '"\\ud800"',
    '"\\udc00\\ud800 x"',
    '"\\u0000"',
    '"\\x41"',
    '"tab\there"',
    "'single'",
    "[" * 50 + "]" * 50,
    "[" * 1200 + "]" * 1200,
    '{"a":' * 300 + "1" + "}" * 300,
    "{" * 60,
    "[1,2,[3,{}]]",
    '{"k":1,"k":2,"":3}',
    '{"deep":{"er":null}}',
]
BYTES = [
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xfe\xff",
    b"\x1a",
    b"\x85",
]
TAILS = [
    b"\r",
    b" ",
    b"\t",
    b",",
    b"}",
    b"]",
    b"] x",
    b"}, {}",
    b"] , [{}",
    b" {}",
    b"\xef\xbb\xbf",
    b"//c",
    b"\x0c",
    b"\x00",
]


def fuzzed_lines(make: Callable[[random.Random], dict[str, object]], count: int, *, seed: int) -> list[Line]:
    """`count` lines without line ends: about a third as `make` gives their records, the others mutated once or more."""
    draw = random.Random(seed)
    made: list[Line] = []
    for _ in range(count):
        line = _line(make(draw), draw)
        while draw.random() < 0.25:
            line = _damage(line, made, draw)
        made.append(line.replace(b"\n", b" "))
    return made


def _line(record: dict[str, object], draw: random.Random) -> Line:
    literal = None
    while draw.random() < 0.4:
        key = draw.choice(list(record))
        how = draw.randrange(6)
        if how == 0:
            record[key] = draw.choice(TIMES)
        elif how in (1, 2):
            record[key] = draw.choice(TEXTS)
        elif how == 3:
            record[key] = draw.choice([None, True, False, [], {}, [None], 0, -1, 1.5, 10**30, [record[key]]])
        elif how == 4:
            record.pop(key) if len(record) > 1 else None
        else:
            literal = (key, draw.choice(LITERALS))
    text = json.dumps(record, ensure_ascii=draw.random() < 0.5)
    if literal:
        again = json.dumps({"": 0})[1:-1].replace('""', json.dumps(literal[0])).replace(" 0", literal[1])
        text = text[:-1] + "," + again + "}" if draw.random() < 0.5 else "{" + again + "," + text[1:]
    return text.encode()


def _damage(line: Line, earlier: list[Line], draw: random.Random) -> Line:
    place = draw.randrange(len(line) + 1)
    how = draw.randrange(9)
    if how == 0:
        return line[:place]
    if how == 1:
        return line[place:]
    if how == 2:
        return line[:place] + draw.choice(BYTES) + line[place:]
    if how == 3:
        return line[:place] + bytes([draw.randrange(256)]) + line[place + 1 :]
    if how == 4:
        return line + draw.choice(TAILS)
    if how == 5:
        return draw.choice(TAILS) + line
    if how == 6 and earlier:
        return draw.choice(earlier)[:100_000]
    if how == 7 and earlier:
        other = draw.choice(earlier)[:100_000]
        return line[:place] + other[draw.randrange(len(other) + 1) :]
    return draw.choice([b"", b"\r", b" ", b"null", b"[]", b"{}", b'"', b"{", b"[" * 3000, bytes(draw.randbytes(40))])
