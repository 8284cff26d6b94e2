"""What can be seen of a run: metrics, memory, progress, reports."""
