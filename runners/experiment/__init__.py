"""Requests become cells, and cells become done."""
