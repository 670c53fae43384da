"""IN: read, check, prepare and build structures, and watch their bonds."""
