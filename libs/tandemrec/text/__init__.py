"""Text to vectors: where an encoder's weights are, what it is called, and how it encodes a batch without padding.

`sources` and `identity` import no torch, so that what only asks for an encoder's name stays light; `encoder` does.
"""
