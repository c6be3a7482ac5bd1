"""`python -m memaudit` is the `memaudit` command."""

from memaudit.cli import main

if __name__ == "__main__":
    main()
