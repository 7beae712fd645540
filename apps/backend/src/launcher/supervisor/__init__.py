"""The one loop: takes events, lets ``launcher.core`` decide, performs the effects and publishes what changed."""
