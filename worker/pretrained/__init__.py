"""Networks that others have trained: found as files of installed packages, checked, and rebuilt with our own code."""
