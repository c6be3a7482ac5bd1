"""What the local servers share: answers of bounded size, from this machine's own names alone, and no more clients than
there is room for."""
