"""OUT: documents, the store that keeps them, and their comparison."""
