"""The proofs of what graphc promises: a module for each kind, found by its name, with a tuple `PROOFS`."""
