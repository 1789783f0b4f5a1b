"""What of a file's columns is never written: dropped, hashed, generalised or noised while the file comes in."""
