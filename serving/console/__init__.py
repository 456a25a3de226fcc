"""Pages for auditors, drawn by the server: no script, no asset from outside."""
