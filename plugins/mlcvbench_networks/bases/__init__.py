"""Models to inherit from, one a kind of task: a method on top of them is a network, a loss and what outputs mean."""
