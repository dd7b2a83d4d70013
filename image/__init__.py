"""Builds the one container image and signs the release that names it. Run as ``python image/build``."""
