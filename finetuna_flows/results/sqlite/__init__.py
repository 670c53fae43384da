"""A maggma store in one SQLite file, with an index that decides as MongoDB would."""
