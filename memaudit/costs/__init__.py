"""What work will cost: stages with time, memory and disk, by coefficients that were measured (costs.toml)."""
