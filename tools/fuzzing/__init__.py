"""The parts of the graph fuzzer: random graphs, the judge, and the ways to run a graph that must all agree."""
