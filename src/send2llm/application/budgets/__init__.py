"""Budgets: money is lent to processes in slices, held before each attempt, and settled by what calls cost."""
