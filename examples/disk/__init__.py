"""The disk: small networks learn which points of the unit square are inside a circle. Run it: python -m examples.disk

`data` makes the points, `networks` declares the nets, `training` compiles and trains them, `pictures` draws what came
of it, and `__main__` is the command.
"""
