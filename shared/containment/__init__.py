"""Takes from a process that opens uploads what it does not need, as far as the kernel helps; tells how far that is."""
