"""Out again: the samples that a dedup run keeps, as others read them."""
