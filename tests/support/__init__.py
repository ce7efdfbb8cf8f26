"""What the tests share: real components, fixtures and readers of what we serve."""
