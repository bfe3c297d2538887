"""Studies on disk: what was computed once is never computed again."""
