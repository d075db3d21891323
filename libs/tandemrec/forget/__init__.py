"""A person leaves the lake: which lines and rows are theirs, what becomes of them, and the proof that nothing stays."""
