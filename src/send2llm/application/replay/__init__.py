"""What calls would have cost under other prices, routes, budgets or caches. No provider is called.

Each replay takes recorded calls in the order in which they began, and gives a ``Report`` that says what was assumed.
"""
