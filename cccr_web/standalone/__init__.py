"""Programs that readers take away: each is one file, which imports nothing of ours."""
