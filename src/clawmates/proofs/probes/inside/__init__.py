"""What is tried inside a container. The proof sends these modules there through a pipe; no image holds them.

They run on what the image has: Python, ctypes, no shell. Every function is one probe; its docstring is what the report
and the documents say was tried.
"""
