"""⑤ Where chunks run: Ray, and in process; the only code that imports ray."""
