"""What can be seen of a run: progress, memory, reports."""
