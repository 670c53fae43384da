"""OUT: figures for papers, of comparisons and relaxations (matplotlib, extra ``report``)."""
