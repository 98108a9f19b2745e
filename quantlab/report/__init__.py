"""What a run tells: terminal, JSON."""
