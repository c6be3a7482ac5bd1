"""Does the model give training images back? Search, pairing, control, and what may be said of them."""
