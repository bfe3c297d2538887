"""What a run is: model, data set, task, order of the examples, training. Read first; imports nothing above it."""
