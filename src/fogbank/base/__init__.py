"""Words everyone shares; the standard library only."""
