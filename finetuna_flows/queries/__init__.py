"""DECIDE: pure criteria that say when the parent is asked."""
