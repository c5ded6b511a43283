"""Is head slower than base? Processes compared by ranks, a policy of budgets, and a decision for each case."""
