"""Throw-away platforms with stand-ins for the world outside: the demonstration, the benchmarks, the proofs on one."""
