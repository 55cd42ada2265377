"""Feature families: each turns one recording into named numbers."""
