"""Encryption at rest: every stored file under a key of its own, in a format that others read (docs/decisions/0023).

A root key that the operator holds wraps a key for each tenant, that a key for each file; the wrapped keys lie in a key
store of their own (`key_store.py`), so that destroying a key erases what it opened, in every backup as well.
"""
