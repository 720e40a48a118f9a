"""Every decision, once, as generators that yield steps: no network, no clock, no ledger of their own."""
