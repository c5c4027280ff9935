"""The ordered transactional key-value store: its port and the layers over it."""
