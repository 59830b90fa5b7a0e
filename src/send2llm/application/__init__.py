"""The use cases. They know the domain and their own ports, nothing concrete."""
