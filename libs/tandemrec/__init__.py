"""TandemRec: recommendations learned together from what people do and from what they write."""

__version__ = "0.1.0"
