"""Who may be scored for what: uses, the ledger of consent, law packs, and the decision that comes before every number."""
