"""Data sets for classification, by name: some ship inside scikit-learn, the others are read from their published files."""
