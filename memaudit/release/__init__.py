"""The pre-release check as one file: what is trained on, what generates, how much is asked, and what must hold."""
