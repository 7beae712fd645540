"""What the user declared: reading, checking, merging and explaining it. Entry points: ``load`` and ``locate``, each in its module.

This file imports nothing, so that a command that only looks for the running launcher pays for ``locate`` alone.
"""
