"""Images + encoder → store."""
