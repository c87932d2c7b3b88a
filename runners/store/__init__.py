"""Files are the truth: what is stored, sealed, listed and read again."""
