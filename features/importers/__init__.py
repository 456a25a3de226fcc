"""One file per outside format: outside rows in; canonical rows, and rejects with reasons, out."""
