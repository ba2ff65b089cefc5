"""What callers hear and say: prompts and speech, steps, conversations. Knows no Asterisk."""
