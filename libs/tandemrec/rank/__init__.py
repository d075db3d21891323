"""Retrieval over the catalogue: the best items for each user, reasons, and batch scoring through Ray Data."""
