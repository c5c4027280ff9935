"""Keys and envelopes: what stored bytes are sealed with. Pure: no file, no clock, no entropy."""
