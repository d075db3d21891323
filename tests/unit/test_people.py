"""Lines lose plain ids and nothing else; the same key gives the same pseudonym wherever the id stands."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandemrec.clean.people import Place, names, places, pseudonymised, without
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError
from tandemrec.lake.pseudonyms import PSEUDONYM, SPACES, known_as, pseudonym, pseudonym_key

KEY = b"a key of the tests, 16 or more"
EVENTS = {"item_id": "i", "event_type": "t", "event_time": "at"}
REVIEWS = {"item_id": "i", "text": "s", "review_time": "at"}
RELATIONS = {"user_id": "u", "relation": "r", "target_kind": "k", "target_id": "t"}
FRIENDS = {"relation": "friend", "target_kind": "user"}
SOURCES = [
    {"name": "flat", "table": "events", "kind": "json", "path": "a", "columns": EVENTS | {"user_id": "who.id"}},
    {"name": "dots", "table": "events", "kind": "csv", "path": "b", "columns": EVENTS | {"user_id": "who.id"}},
    {"name": "around", "table": "reviews", "kind": "json", "path": "c", "columns": REVIEWS | {"user_id": "^u"},
     "explode": ["past", "last"]},
    {"name": "same_files", "table": "items", "kind": "json", "path": "c", "columns": {"item_id": "i"},
     "explode": ["past"]},
    {"name": "inside", "table": "reviews", "kind": "json", "path": "d", "columns": REVIEWS | {"user_id": "by.id"},
     "explode": ["list"]},
    {"name": "pairs", "table": "events", "kind": "pairs", "path": "e", "constants": {"event_type": "click"}},
    {"name": "net", "table": "relations", "kind": "json", "path": "f", "columns": RELATIONS},
    {"name": "list", "table": "relations", "kind": "json", "path": "g", "explode": ["past"],
     "columns": RELATIONS | {"user_id": "^u", "target_kind": "^k"}},
    {"name": "friends", "table": "relations", "kind": "pairs", "path": "h", "constants": FRIENDS},
    {"name": "clubs", "table": "relations", "kind": "pairs", "path": "i",
     "constants": {"relation": "member", "target_kind": " Group"}},
    {"name": "back", "table": "relations", "kind": "csv", "path": "j", "columns": {"user_id": "b", "target_id": "a"},
     "constants": FRIENDS},
    {"name": "forth", "table": "relations", "kind": "csv", "path": "j", "columns": {"user_id": "a", "target_id": "b"},
     "constants": FRIENDS},
]  # fmt: skip


def settings(**pseudonymise):
    data = {"root": "x", "pseudonymise": pseudonymise}
    return parse_settings({"data": data, "lake": {"root": "y"}, "sources": SOURCES})


def of(name, also=()):
    sources = settings().sources
    return places(next(one for one in sources if one.name == name), sources, also)


def test_ids_are_found_where_the_sources_say():
    assert of("flat") == [Place(path=("who", "id"))]
    assert of("dots") == [Place(path=("who.id",))]
    assert of("around") == of("same_files") == [Place(path=("u",))]
    assert of("inside") == [Place(records=("list",), path=("by", "id"))]
    assert of("pairs") == [Place(path=("user_id",))]
    assert of("flat", also=["friend"])[1:] == [Place(path=("friend",))]
    assert of("net")[1:] == [Place(path=("t",), target=True, kind=Place(path=("k",)))]
    assert of("list")[1:] == [Place(records=("past",), path=("t",), target=True, kind=Place(path=("k",)))]
    assert of("friends") == [Place(path=("user_id",)), Place(path=("item_id",), target=True)]
    assert of("clubs") == [Place(path=("user_id",))]


def test_a_pseudonym_is_the_keyed_hash_of_the_id():
    expected = "p-" + hmac.new(KEY, b"u1", hashlib.sha256).hexdigest()[:32]
    assert pseudonym("u1", KEY) == pseudonym(" u1\u3000", KEY) == expected
    assert pseudonym("u1", b"another key of 16 or more") != expected
    line = {"who": {"id": 12, "name": "x"}, "n": 12345678901234567890, "s": "ü", "l": [None, True, 1.5]}
    found = json.loads(pseudonymised(json.dumps(line), of("flat"), KEY))
    assert found == line | {"who": {"id": pseudonym("12", KEY), "name": "x"}}
    nested = {"list": [{"by": {"id": "u1"}}, None, {"by": {"id": " "}}, {"by": None}], "by": {"id": "u1"}}
    found = json.loads(pseudonymised(json.dumps(nested), of("inside"), KEY))
    assert found == nested | {"list": [{"by": {"id": expected}}, *nested["list"][1:]]}
    as_text = json.dumps({"list": json.dumps(nested["list"])})  # Spark reads records in a text too
    assert json.loads(pseudonymised(as_text, of("inside"), KEY))["list"][0] == {"by": {"id": expected}}


@pytest.mark.parametrize(("kind", "is_person"), [
    ("user", True), (" User ", True), ("planet", True), (None, True), ("topic", False), (" Group", False),
    ("item", False),
])  # fmt: skip
def test_a_target_is_a_person_unless_it_is_told_to_be_something_else(kind, is_person):
    line = {"u": "u1", "r": "follow", "k": kind, "t": "u2"}
    changed = {"u": pseudonym("u1", KEY)} | ({"t": pseudonym("u2", KEY)} if is_person else {})
    assert json.loads(pseudonymised(json.dumps(line), of("net"), KEY)) == line | changed
    assert names(json.dumps(line), of("net"), "u2") == is_person
    listed = {"u": "u1", "k": kind, "past": [{"r": "follow", "t": "u2"}, {"r": "follow", "t": "u3"}]}
    found = json.loads(pseudonymised(json.dumps(listed), of("list"), KEY))
    assert [one["t"] for one in found["past"]] == [pseudonym(t, KEY) if is_person else t for t in ("u2", "u3")]
    left = json.loads(without(json.dumps(listed), of("list"), "u2"))
    assert left == listed | {"past": listed["past"][is_person:]}


def test_a_field_of_two_sources_becomes_a_pseudonym_once():
    ends = pseudonym("u1", KEY), pseudonym("u2", KEY)
    assert json.loads(pseudonymised('{"a": "u1", "b": "u2"}', of("back"), KEY)) == dict(zip("ab", ends, strict=True))
    assert of("back") == of("forth")


def test_a_line_of_somebody_else_loses_the_person_as_a_target_only():
    line = {"u": "u1", "r": "follow", "k": "user", "t": "u2"}
    assert json.loads(without(json.dumps(line), of("net"), "u2")) == {"u": "u1", "r": "follow", "k": "user"}
    assert without(json.dumps(line), of("net"), "u1") is None


@given(
    st.text(min_size=8).filter(lambda text: text.strip(SPACES)),
    st.sampled_from(["flat", "dots", "around", "inside", "pairs"]),
    st.booleans(),
    st.integers(0, 30),
)
def test_no_line_shows_an_id(user, name, ascii_, cut):
    line = {
        "flat": {"who": {"id": user}},
        "dots": {"who.id": user},
        "around": {"u": user, "past": []},
        "inside": {"list": [{"by": {"id": user}}]},
        "pairs": {"user_id": user, "item_id": "1"},
    }[name]
    raw = json.dumps(line, ensure_ascii=ascii_)
    for spelled in (raw, raw[: len(raw) - cut], raw + raw):  # whole, broken off, and two on a line
        left = pseudonymised(spelled, of(name), KEY)
        assert user not in left
        assert json.dumps(user)[1:-1] not in left
        assert PSEUDONYM.search(left) or not spelled


@pytest.mark.parametrize(("value", "found"), [(None, "nothing"), ("", "nothing"), ("short", "5 bytes")])
def test_without_a_key_it_says_so(monkeypatch, value, found):
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match=f"variable TEST_KEY holds {found}, expected a secret key of 16 bytes"):
        pseudonym_key(settings(key_env="TEST_KEY").data.pseudonymise)


def test_a_person_is_asked_for_by_the_plain_id_or_the_pseudonym(monkeypatch):
    monkeypatch.setenv("TANDEMREC_PSEUDONYM_KEY", KEY.decode())
    theirs = pseudonym("u1", KEY)
    assert known_as("u1", settings()) == known_as(theirs, settings()) == theirs
    plain = parse_settings({"data": {"root": "x"}, "lake": {"root": "y"}, "sources": SOURCES})
    assert known_as("u1", plain) == "u1"
    assert KEY.decode() not in settings().model_dump_json()
