"""What people see and keep of a running backend: log files, their reader, and the console of ``launcher up``."""
