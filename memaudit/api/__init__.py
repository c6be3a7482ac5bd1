"""One function for each command: paths or opened stores in, one frozen result out; `import memaudit as ma` has them.

Nothing is printed; progress is a callback, warnings are in the result, errors are memaudit's own classes.
"""
