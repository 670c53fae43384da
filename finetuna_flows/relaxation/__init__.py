"""REPEAT: predict, decide, label, learn and move until the parent confirms the minimum."""
