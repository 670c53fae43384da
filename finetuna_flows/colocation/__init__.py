"""TWO PROCESSES, ONE SOCKET: the parent elsewhere, reached by the i-PI protocol."""
