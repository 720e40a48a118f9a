"""Many requests of one file: its rows, and what the ledger keeps of the whole."""
