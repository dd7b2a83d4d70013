"""To OpenClaw and from it: its configuration made from bots of ours, and bots of ours from its configuration. Pure.

What its words mean stands in its own documentation, which lies in its package (``docs/``); ``make interop`` has its own
command check what is made here.
"""
