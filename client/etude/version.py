"""The version of this client, which it also tells the service."""

VERSION = "0.1.0"
