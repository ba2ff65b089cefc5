"""Asterisk's side: configuration rendered for a node, and the telephone network of tests and demo."""
