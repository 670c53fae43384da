"""Programs that are started, paused and ended, with all that they start themselves (Linux)."""
