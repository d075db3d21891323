"""A page of HTML as tests look at it."""

from collections import Counter
from html.parser import HTMLParser


class Page(HTMLParser):
    """Checks that tags nest, and gathers attributes, identifiers and visible text."""

    VOID = frozenset({"meta", "br", "img", "link", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack, self.tags, self.attributes, self.pieces = [], Counter(), [], []
        self.feed(text)
        self.close()
        assert not self.stack, self.stack
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        if "style" not in self.stack:
            self.pieces.append(data)
