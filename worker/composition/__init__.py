"""Between pieces and sequences: how music becomes steps, and how a network's steps become music."""
