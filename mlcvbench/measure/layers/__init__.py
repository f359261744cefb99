"""A network layer by layer: shapes, parameters, operations, receptive fields."""
