"""What a recording is like; nothing is trained."""
