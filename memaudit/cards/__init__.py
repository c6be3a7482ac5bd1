"""What others want to be told of a model or a training set, in their own forms, from reports and stores alone."""
