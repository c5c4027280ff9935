"""Large values: immutable byte strings, named before their first byte, referenced last."""
