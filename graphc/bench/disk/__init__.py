"""The disk: small networks learn which points of the unit square are inside a circle.

Two student reports about frameworks of their own published what their networks reach on it:

[1] K. Peeters, L. Schlyter: Mini Deep-learning framework. EPFL.
[2] A. Reynaud, V. Taburet, V. Rinaldi: EE-559 Project 2, Mini deep-learning framework. EPFL.

`table1` does the runs of [1] again, `minitorch` and `grid` those of [2], and `best` looks for what is possible. Each is
a module that says what is run and published, over `data`, `networks`, `setting` (what is trained and how) and `study`
(doing it many times).
"""
