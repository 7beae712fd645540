"""Where components run: on this process's main thread, in processes of their own, or as commands."""
