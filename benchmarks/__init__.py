"""Measurements that anybody can repeat: `python3 dev bench NAME`. Ratios of one run are comparable, seconds of two machines are not."""
