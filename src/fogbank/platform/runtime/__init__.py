"""Where functions run: the port of the sandboxes and the placement of environments."""
