"""`graphc-bench`: studies that anyone can redo. `disk` has those of points inside and outside a circle."""
