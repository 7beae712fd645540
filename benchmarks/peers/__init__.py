"""The same backend under other process managers and under this one: `python3 dev bench peers`."""
