"""Scores over HTTP, with reasons, and the console for auditors."""
