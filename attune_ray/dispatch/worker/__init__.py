"""What runs where the items are: on Ray workers, and in process for inline actions.

Imports nothing of the package but ``actions``, ``expression`` and ``errors``: a worker starts fast.
"""
