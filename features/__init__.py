"""The ground floor: tables that come in, and the vectors made of them. Pure but for `workspace`, `history` and `importers`."""
