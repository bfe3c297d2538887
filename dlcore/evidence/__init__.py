"""How results are judged: intervals, convergence, claims."""
