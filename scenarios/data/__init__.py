"""Data sets for classification, by name: some ship inside scikit-learn, the others are read from their published files."""

from scenarios.data.dataset import DataSet
from scenarios.data.draw import Drawn, draw
from scenarios.data.sources import DATA_SETS, FROM_FILES, load_data

__all__ = ["DATA_SETS", "FROM_FILES", "DataSet", "Drawn", "draw", "load_data"]
