"""Claims of right holders: who asked which pictures, what was answered, until when, in a ledger that nothing is taken
out of, beside a vault that everything of a person can be taken out of."""
