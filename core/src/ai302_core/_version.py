"""The distribution's version: asking its metadata would cost more than the rest of `gen302 --version`."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
