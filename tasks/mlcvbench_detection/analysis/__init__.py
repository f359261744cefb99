"""What lies behind a detector's metrics: curves, operating points, kinds of mistakes, and the tables of them."""
