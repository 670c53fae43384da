"""LEARN: what the parent's labels teach a surrogate."""
