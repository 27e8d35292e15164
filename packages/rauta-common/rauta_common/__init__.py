"""The pure core of RAUTA: hashing, Maglev, radix and the packed u64 state words. No I/O, no clock, no randomness."""
