"""The same work in several libraries, each in a process of its own, taking turns."""
