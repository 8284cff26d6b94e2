"""JSON values: read from plain scalars, fitted to schemas, and the words that cross the border of a process."""
