"""The guard: one generation in, a verdict out, by the same steps as an audit; in this process, or asked over HTTP."""
