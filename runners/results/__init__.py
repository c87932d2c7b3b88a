"""Stored cells, read and compared."""
