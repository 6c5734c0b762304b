"""Fuzzers: command lines, files, library calls, kills and full disks, drawn from a seed.

`python -m tests.fuzz --minutes M --seed S` runs them all; CONTRIBUTING.md says how.
"""
