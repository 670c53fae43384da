"""Tables of a study: methods side by side, in pairs, and system by system, with their errors."""
