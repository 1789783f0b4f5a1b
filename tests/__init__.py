"""The tests of Etude; they mirror the source tree."""
