"""The demo: a small district, a played telephone network, and the main story."""
