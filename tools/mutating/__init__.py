"""Planted compiler bugs: each one edit of graphc, which the tests have to notice."""
