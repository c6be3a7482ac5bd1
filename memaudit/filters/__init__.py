"""What training data is filtered by, and the weights that undo what a filter shifts."""
