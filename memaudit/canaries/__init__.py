"""Pictures of our own that are put into training, to be asked for later: what an audit could have seen."""
